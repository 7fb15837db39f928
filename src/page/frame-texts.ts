/** Texts of both pages: that of an account, and that of a link. */
export const frameTexts = {
  /** BCP 47, for numbers. */
  language: 'en',
  title: 'MagicStore',
  close: 'Close',
  tryAgain: 'Try again',
  loading: 'Loading…',
  networkProblem: 'The server cannot be reached. Check your connection, then try again.',
  missingParts: {
    unreachable: 'This part of the page could not be loaded. Check your connection, then try again.',
    outdated: 'The server has another version of this page.'
  },
  loadAgain: 'Load the page again',
  unexpectedProblem: (status: number) => `The server answered with status ${status}.`,
  retryAfter: (wait: string) => `Try again in ${wait}.`,
  sizeLimit: (size: string) => `A file may have at most ${size}.`,
  remaining: (amount: string) => `${amount} can still be stored.`,
  files: (count: string, files: number) => `${count} ${files === 1 ? 'file' : 'files'}`,
  invisible: 'An invisible character',
  showPassword: 'Show the password'
} as const
