/** The methods of the drive that Fastify does not know, and whether they have a body. */
export const DAV_METHODS = {
  COPY: false, LOCK: true, MKCOL: true, MOVE: false, PROPFIND: true, PROPPATCH: true, UNLOCK: false
} as const

const METHODS = [...Object.keys(DAV_METHODS), 'DELETE', 'GET', 'HEAD', 'OPTIONS', 'PUT'].sort()

/** `Allow` of everything but these methods. */
export function allowAllBut (...refused: string[]): string {
  return METHODS.filter(method => !refused.includes(method)).join(', ')
}

/** Without these, Finder and Explorer do not ask for credentials. */
export const DISCOVERY = { dav: '1, 2, 3', 'ms-author-via': 'DAV' } as const
