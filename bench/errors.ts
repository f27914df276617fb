/** What ends the benchmark: the message is one line for the user. */
export class BenchError extends Error {
  override name = 'BenchError';
  readonly status: number;

  constructor(message: string, status = 1) {
    super(message);
    this.status = status;
  }
}
