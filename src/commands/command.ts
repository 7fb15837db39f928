/** What a module of this folder that is named like a command exports. */
export interface Command {
  /** What `--help` prints. */
  readonly help: string
  /** Carries it out, with what stands behind its name; prints to standard output, and tells of progress on standard error. */
  run (args: string[]): Promise<void>
}
