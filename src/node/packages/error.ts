/** What ends a fetch: the message is one line for the user. */
export class PackageError extends Error {
  override name = 'PackageError';
}

/** Any error as one line. */
export function oneLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replace(/\s*\n\s*/g, ' ').trim();
}
