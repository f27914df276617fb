/**
 * Signals that whoever started the command has ignored, as nohup does with SIGHUP and a shell with SIGINT of what runs in the
 * background. Node itself gives every signal its usual effect again, so bin/powervisor finds out and says it by a variable.
 */
const VARIABLE = 'POWERVISOR_IGNORED_SIGNALS';
const KNOWN = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM'] as const;
const ignored = new Set<string>();

/** Has those signals ignored here, too. */
export function inheritIgnored(): void {
  const names = new Set(process.env[VARIABLE]?.split(' ').map((name) => `SIG${name}`));
  delete process.env[VARIABLE];
  for (const signal of KNOWN) {
    if (!names.has(signal)) continue;
    ignored.add(signal);
    process.on(signal, () => {});
  }
}

export const isIgnored = (signal: string): boolean => ignored.has(signal);
