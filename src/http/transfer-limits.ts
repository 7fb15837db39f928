import type { onRequestHookHandler } from 'fastify'
import { Problem } from '../problems.ts'
import { callerOf } from './caller.ts'
import type { Connections } from './connections.ts'

/** Concurrent uploads and downloads, well above what a browser or a download manager opens. */
const MAX_TRANSFERS_PER_ACCOUNT = 256

/** Users behind one address share it. */
const MAX_TRANSFERS_PER_ADDRESS = 512

/** Most transfers take seconds. */
const RETRY_SECONDS = 5

/**
 * An `onRequest` hook for uploads and downloads: limits the concurrent transfers of each account and each client address. A transfer
 * ends when its response is finished or its connection closes.
 */
export type TransferLimits = onRequestHookHandler

export function createTransferLimits ({ onceOver }: Connections): TransferLimits {
  const inProgress = new Map<string | number, number>()

  function change (key: string | number, by: number): void {
    const count = countOf(key) + by
    if (count === 0) inProgress.delete(key)
    else inProgress.set(key, count)
  }

  const countOf = (key: string | number) => inProgress.get(key) ?? 0

  return (request, reply, done) => {
    const { account } = callerOf(request)
    // One map for both: ids are numbers, addresses are strings.
    if (countOf(account.id) >= MAX_TRANSFERS_PER_ACCOUNT) refuse('An account', MAX_TRANSFERS_PER_ACCOUNT)
    if (countOf(request.ip) >= MAX_TRANSFERS_PER_ADDRESS) refuse('A client address', MAX_TRANSFERS_PER_ADDRESS)
    const keys = [account.id, request.ip]
    for (const key of keys) change(key, 1)
    onceOver(reply.raw, () => { for (const key of keys) change(key, -1) })
    done()
  }
}

function refuse (subject: string, limit: number): never {
  const detail = `${subject} may have at most ${limit} concurrent uploads and downloads.`
  throw new Problem('too_many_transfers', { detail, headers: { 'retry-after': String(RETRY_SECONDS) } })
}
