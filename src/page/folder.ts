/** The address of the folder that the page is in. Behind a proxy it can have a path. */
export const folder = new URL('.', location.href)

/** The address of the API for the client. */
export const baseUrl = folder.href.replace(/\/$/, '')
