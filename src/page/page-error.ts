/** A failure that is not a response of the server. The message is for the user. */
export class PageError extends Error {}
