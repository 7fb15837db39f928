import type { Tools } from './tools.ts'

/** The texts that both pages have: that of an account, and that of a link. */
export const frame = ({ visible, plural }: Tools<'en'>) => ({
  language: 'en',
  direction: 'ltr',
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
  /** What failures are called, by the code of the server. */
  problems: {
    name_invalid: 'Invalid name',
    upload_incomplete: 'The upload was cut off',
    digest_mismatch: 'The file did not arrive as it was sent',
    not_found: 'Not found',
    request_timeout: 'It took too long',
    precondition_failed: 'It was changed meanwhile',
    name_taken: 'A file or folder with this name already exists',
    file_too_large: 'The file is too large',
    quota_exceeded: 'There is no room for it',
    link_limit_reached: 'The link accepts no more',
    extension_not_allowed: 'The server does not accept files with this ending',
    upload_taken_over: 'Another window is sending this upload',
    upload_offset_mismatch: 'Another window is sending this upload',
    file_locked: 'Another program has locked it',
    file_damaged: 'The stored file is damaged',
    links_off: 'Links are switched off',
    too_many_requests: 'Too many requests',
    too_many_uploads: 'There are too many unfinished uploads',
    too_many_transfers: 'Too many uploads and downloads at a time',
    internal_error: 'The server has failed',
    stopping: 'The server is restarting',
    overloaded: 'The server is busy',
    unavailable: 'The server can’t reach its storage',
    not_ready: 'The server is not ready',
    storage_full: 'The disk of the server is full'
  },
  /** What helps, by the code or by the name of a field. */
  problemHints: {
    name_invalid: 'A name can’t be empty, “.” or “..”, very long, or have a backslash or invisible characters.'
  },
  refused: (code: string) => `The server refused this (${code})`,
  unexpectedProblem: (status: number) => `The server answered with status ${status}.`,
  retryAfter: (wait: string) => `Try again in ${wait}.`,
  sizeLimit: (size: string) => `A file may have at most ${size}.`,
  extensions: (endings: string) => `It accepts: ${endings}.`,
  locked: (names: readonly string[]) =>
    `${names.map(visible).join(', ')} ${plural(names.length, { one: 'is locked', other: 'are locked' })}.`,
  remaining: (amount: string) => `${amount} can still be stored.`,
  files: (count: number) => plural(count, { one: '# file', other: '# files' }),
  invisible: 'An invisible character',
  showPassword: 'Show the password'
})

export type FrameTexts = ReturnType<typeof frame>
