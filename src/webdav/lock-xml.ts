import type { LockRecord } from '../metadata/lock-records.ts'
import { XML_DECLARATION } from './multistatus.ts'
import { escapeXml } from './xml.ts'

/** Content of `DAV:supportedlock`. */
export const SUPPORTED_LOCKS = ['exclusive', 'shared'].map(scope =>
  `<D:lockentry><D:lockscope><D:${scope}/></D:lockscope><D:locktype><D:write/></D:locktype></D:lockentry>`).join('')

/** Content of `DAV:lockdiscovery` (RFC 4918 section 15.8). `hrefOf` gives the URL of a lock root. */
export function activeLocks (locks: readonly LockRecord[], hrefOf: (path: string) => string): string {
  return locks.map(lock => activeLock(lock, hrefOf(lock.path) + (lock.isFolder ? '/' : ''))).join('')
}

/** The body of a response to `LOCK` (RFC 4918 section 9.10.1). */
export function lockDiscovery (locks: readonly LockRecord[], hrefOf: (path: string) => string): string {
  const content = `<D:lockdiscovery>${activeLocks(locks, hrefOf)}</D:lockdiscovery>`
  return `${XML_DECLARATION}<D:prop xmlns:D="DAV:">${content}</D:prop>\n`
}

function activeLock ({ token, isDeep, isExclusive, owner, seconds, expiresAt }: LockRecord, root: string): string {
  // By the clock of this process, which is not that of the database.
  const left = Math.min(Math.max(Math.ceil((expiresAt - Date.now()) / 1000), 0), seconds)
  return '<D:activelock><D:locktype><D:write/></D:locktype>' +
    `<D:lockscope><D:${isExclusive ? 'exclusive' : 'shared'}/></D:lockscope>` +
    `<D:depth>${isDeep ? 'infinity' : '0'}</D:depth>${owner ?? ''}<D:timeout>Second-${left}</D:timeout>` +
    `<D:locktoken><D:href>${escapeXml(token)}</D:href></D:locktoken>` +
    `<D:lockroot><D:href>${escapeXml(root)}</D:href></D:lockroot></D:activelock>`
}
