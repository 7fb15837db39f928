import ipaddr from 'ipaddr.js'

type Address = ipaddr.IPv4 | ipaddr.IPv6

/** Where a request came from, as security events record it. */
export interface Origin { readonly network: string, readonly requestId: string }

/** The origin of a request: the network of its client address, and the request id. */
export function originOf ({ ip, id }: { ip: string, id: string }): Origin {
  return { network: networkOf(ip), requestId: id }
}

/**
 * The network that a client is counted by: one IPv4 address, or one IPv6 /64, the smallest block a household gets.
 * An IPv4-mapped IPv6 address counts as the IPv4 address.
 */
export function networkOf (address: string): string {
  return prefixOf(address, { v6: 64 })
}

/** The largest block that a household gets: one IPv4 address, or one IPv6 /56, in which it has 256 networks. */
export function siteOf (address: string): string {
  return prefixOf(address, { v6: 56 })
}

/** The block that an organisation gets: an IPv4 /24, or an IPv6 /48. */
export function blockOf (address: string): string {
  return prefixOf(address, { v4: 24, v6: 48 })
}

function prefixOf (address: string, { v4 = 32, v6 }: { v4?: number, v6: number }): string {
  const parsed = parse(address)
  if (parsed === undefined) return 'unknown'
  const [kind, bits, maxBits] = parsed instanceof ipaddr.IPv6 ? [ipaddr.IPv6, v6, 128] : [ipaddr.IPv4, v4, 32]
  if (bits === maxBits) return parsed.toString()
  return `${kind.networkAddressFromCIDR(`${parsed.toString()}/${bits}`).toString()}/${bits}`
}

/** Whether an address is not publicly routable: loopback, private, link-local, unique local or carrier-grade NAT. */
export function isPrivate (address: string): boolean {
  const range = parse(address)?.range() ?? 'unknown'
  return ['loopback', 'private', 'linkLocal', 'uniqueLocal', 'carrierGradeNat'].includes(range)
}

/** Ignores the zone of an IPv6 address (RFC 4007 section 11). */
function parse (address: string): Address | undefined {
  return ipaddr.isValid(address) ? ipaddr.process(address.replace(/%.*$/, '')) : undefined
}
