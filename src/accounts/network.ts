import ipaddr from 'ipaddr.js'

/**
 * The network an address is counted under: one IPv4 address, or one IPv6 /64, which is the least that a household is
 * given. An IPv4 address inside an IPv6 one is the IPv4 address.
 */
export function networkOf (address: string): string {
  if (!ipaddr.isValid(address)) return 'unknown'
  const parsed = ipaddr.process(address.replace(/%.*$/, ''))
  if (!(parsed instanceof ipaddr.IPv6)) return parsed.toString()
  return `${new ipaddr.IPv6([...parsed.parts.slice(0, 4), 0, 0, 0, 0]).toString()}/64`
}

/** Where a request came from, as events tell it. */
export interface Origin { readonly network: string, readonly requestId: string }

/** Where a request with this address and id came from. */
export function originOf ({ ip, id }: { ip: string, id: string }): Origin {
  return { network: networkOf(ip), requestId: id }
}

/** True for an address that only a neighbour can have: loopback, private, link-local or unique local. */
export function isPrivate (address: string): boolean {
  return ipaddr.isValid(address) && ['loopback', 'private', 'linkLocal', 'uniqueLocal', 'carrierGradeNat'].includes(ipaddr.process(address.replace(/%.*$/, '')).range())
}
