import type { onRequestHookHandler } from 'fastify'
import { networkOf } from '../accounts/network.ts'
import { Problem } from '../problems.ts'
import { callerOf } from './caller.ts'
import type { Connections } from './connections.ts'

/** Concurrent uploads and downloads, well above what a browser or a download manager opens. */
const MAX_TRANSFERS_PER_ACCOUNT = 256

/** Users behind one address share it. An IPv6 client has all addresses of its /64. */
const MAX_TRANSFERS_PER_NETWORK = 512

/** Most transfers take seconds. */
const RETRY_SECONDS = 5

/**
 * An `onRequest` hook for uploads and downloads: limits the concurrent transfers of each account and each network,
 * which is one IPv4 address or one IPv6 /64. A transfer ends when its response is finished or its connection closes.
 */
export type TransferLimits = onRequestHookHandler

export function createTransferLimits (connections: Connections): TransferLimits {
  const inProgress = new Map<string | number, number>()

  function change (key: string | number, by: number): void {
    const count = countOf(key) + by
    if (count === 0) inProgress.delete(key)
    else inProgress.set(key, count)
  }

  const countOf = (key: string | number) => inProgress.get(key) ?? 0

  return (request, reply, done) => {
    const { account } = callerOf(request)
    const network = networkOf(request.ip)
    // One map for both: ids are numbers, networks are strings.
    if (countOf(account.id) >= MAX_TRANSFERS_PER_ACCOUNT) refuse('An account', MAX_TRANSFERS_PER_ACCOUNT)
    if (countOf(network) >= MAX_TRANSFERS_PER_NETWORK) refuse('A client address, or an IPv6 /64,', MAX_TRANSFERS_PER_NETWORK)
    const keys = [account.id, network]
    for (const key of keys) change(key, 1)
    connections.onceOver(reply.raw, () => { for (const key of keys) change(key, -1) })
    done()
  }
}

function refuse (subject: string, limit: number): never {
  const detail = `${subject} may have at most ${limit} concurrent uploads and downloads.`
  throw new Problem('too_many_transfers', { detail, headers: { 'retry-after': String(RETRY_SECONDS) } })
}
