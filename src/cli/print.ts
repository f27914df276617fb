let guarded = false;

/** Writes to standard output; a reader that went away ends the command quietly, as SIGPIPE does. */
export function print(text: string): void {
  if (!guarded) {
    guarded = true;
    process.stdout.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(141);
      console.error(`powervisor: cannot write to standard output: ${error.message}`);
      process.exit(1);
    });
  }
  process.stdout.write(text);
}
