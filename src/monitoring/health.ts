import { setTimeout as wait } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import type { BlobStore } from '../blobs/blob-store.ts'
import type { Metadata } from '../metadata/metadata.ts'
import { Problem } from '../problems.ts'

/** A result is reused for this long, so that frequent requests cost no more than one per second. */
const REUSE_MILLISECONDS = 1000

/** A check that takes longer fails. */
const TIMEOUT_MILLISECONDS = 5000

/** `full`: reads and deletes work, writes do not. */
export type Condition = 'ok' | 'full' | 'failing'

export interface Health {
  /** Checks both with a real write, at most once a second. */
  check (): Promise<{ database: Condition, disk: Condition }>
}

interface HealthOptions {
  metadata: Pick<Metadata, 'probe'>
  blobs: Pick<BlobStore, 'probe'>
  log: FastifyBaseLogger
}

/** Readiness checks. The cause of a failure is logged. */
export function createHealth ({ metadata, blobs, log }: HealthOptions): Health {
  function createCheck (name: string, probe: () => Promise<void>): () => Promise<Condition> {
    let latest: Promise<Condition> | undefined
    let probing: Promise<void> | undefined

    async function run (): Promise<Condition> {
      // Never started twice: each probe that waits for a disk occupies one of the few threads that serve files.
      probing ??= probe().finally(() => { probing = undefined })
      try {
        await Promise.race([probing, timeOut()])
        return 'ok'
      } catch (error) {
        if (error instanceof Problem && error.code === 'storage_full') return 'full'
        log.error({ err: error, check: name }, 'readiness check failed')
        return 'failing'
      }
    }

    return () => {
      latest ??= run().finally(() => { setTimeout(() => { latest = undefined }, REUSE_MILLISECONDS).unref() })
      return latest
    }
  }

  const checkDatabase = createCheck('database', () => metadata.probe())
  const checkDisk = createCheck('disk', () => blobs.probe())
  return {
    async check () {
      const [database, disk] = await Promise.all([checkDatabase(), checkDisk()])
      return { database, disk }
    }
  }
}

async function timeOut (): Promise<never> {
  await wait(TIMEOUT_MILLISECONDS, undefined, { ref: false })
  throw new Error(`no answer in ${TIMEOUT_MILLISECONDS} ms`)
}
