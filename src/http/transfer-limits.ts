import type { FastifyReply, FastifyRequest } from 'fastify'
import { Problem } from '../problems.ts'
import { callerOf } from './caller.ts'
import type { Connections } from './connections.ts'

/** Uploads and downloads at a time, well above what a browser or a download manager opens. */
const MAX_TRANSFERS_PER_ACCOUNT = 256

/** People behind one address share it. */
const MAX_TRANSFERS_PER_ADDRESS = 512

/** When a client that was refused may come back: transfers take seconds, not minutes. */
const RETRY_SECONDS = 5

/**
 * A hook for the routes of uploads and downloads: counts the transfers under way for each account and each client
 * address, and refuses one too many by its head. A transfer is under way until its response is over or its connection closes.
 */
export type TransferLimits = (request: FastifyRequest, reply: FastifyReply) => Promise<void>

export function createTransferLimits ({ onceOver }: Connections): TransferLimits {
  const underWay = new Map<string | number, number>()

  function change (key: string | number, by: number): void {
    const count = countOf(key) + by
    if (count === 0) underWay.delete(key)
    else underWay.set(key, count)
  }

  const countOf = (key: string | number) => underWay.get(key) ?? 0

  return async (request, reply) => {
    const { account } = callerOf(request)
    // An id is a number and an address a string, so that one map holds both.
    if (countOf(account.id) >= MAX_TRANSFERS_PER_ACCOUNT) refuse(`An account may have ${MAX_TRANSFERS_PER_ACCOUNT} uploads and downloads at a time.`)
    if (countOf(request.ip) >= MAX_TRANSFERS_PER_ADDRESS) refuse(`An address may have ${MAX_TRANSFERS_PER_ADDRESS} uploads and downloads at a time.`)
    const keys = [account.id, request.ip]
    for (const key of keys) change(key, 1)
    onceOver(reply.raw, () => { for (const key of keys) change(key, -1) })
  }
}

function refuse (detail: string): never {
  throw new Problem('too_many_transfers', { detail, headers: { 'retry-after': String(RETRY_SECONDS) } })
}
