/** The beginning of a target in absolute form (RFC 9112 section 3.2.2), with its authority. */
export const ABSOLUTE_FORM = /^https?:\/\/([^/?#]*)\/?/i

/** `/s/` and the secret of a link. A router decodes `%73`; more slashes are a mistake that the log must not repeat. */
const LINK = /^\/+(?:s|%73)\/+[^/?#]*/

/** The address of a link in a longer or mistyped path, which is 404. */
const MISTYPED = /(?:\/|%2f)(?:s|%73)(?:\/|%2f)+[0-9A-Za-z]{22}/gi

/** Whether a path is one of links. */
export function isOfLink (path: string): boolean {
  return LINK.test(path)
}

/** The path of a target without the secret of a link, for the log. */
export function loggedPath (target: string): string {
  return target.replace(ABSOLUTE_FORM, '/').replace(/\?.*/, '').replace(LINK, '/s/-').replaceAll(MISTYPED, '/s/-')
}
