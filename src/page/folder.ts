/** The folder of the page. Behind a proxy it can have a path. */
export const folder = new URL('.', location.href)
