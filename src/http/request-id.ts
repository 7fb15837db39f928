import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { BlockList, isIP, type IPVersion } from 'node:net'

/** What a proxy may call a request: nothing that a log, a header or a URN would have to escape. */
const GIVEN_ID = /^[A-Za-z0-9-]{1,64}$/

/**
 * Names requests: by a random UUID, for ids that count from 1 would come again after a restart, and people see them in
 * their events. Where the connection comes from a proxy of `trustProxy` (addresses or CIDR ranges), its `X-Request-Id`
 * is taken over, so that one id leads through both logs; anybody else could make two requests look like one.
 */
export function createRequestIds (trustProxy: string[] | undefined): (request: IncomingMessage) => string {
  const proxies = new BlockList()
  for (const text of trustProxy ?? []) {
    const [address = '', bits] = text.split('/')
    if (bits === undefined) proxies.addAddress(address, familyOf(address))
    else proxies.addSubnet(address, Number(bits), familyOf(address))
  }
  const isProxy = (address: string) => isIP(address) !== 0 && proxies.check(address, familyOf(address))

  return ({ headers, socket }) => {
    const given = headers['x-request-id']?.toString()
    return given !== undefined && GIVEN_ID.test(given) && isProxy(String(socket.remoteAddress)) ? given : randomUUID()
  }
}

function familyOf (address: string): IPVersion {
  return `ipv${isIP(address)}` as IPVersion
}
