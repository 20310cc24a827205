/** A benchmark: what `--help` says of it, and what runs it with the rest of the command line. */
export interface Benchmark {
  readonly help: string;
  run(options: readonly string[]): Promise<void>;
}
