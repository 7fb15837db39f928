/** A failure that the server does not know. The message is for the user. */
export class PageError extends Error {}
