import { setTimeout as wait } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import type { BlobStore } from '../blobs/blob-store.ts'
import type { Metadata } from '../metadata/metadata.ts'
import { Problem } from '../problems.ts'

/** For so long the last look holds: whoever asks all the time costs the disk no more than who asks once a second. */
const FRESH_MILLISECONDS = 1000

/** What takes longer does not work for whoever waits for it. */
const PATIENCE_MILLISECONDS = 5000

/** `full`: it reads and removes, and has no room for more. */
export type Condition = 'ok' | 'full' | 'failing'

export interface Health {
  /** Tries both with a real write, or tells how the last try of this second went. */
  check (): Promise<{ database: Condition, disk: Condition }>
}

interface HealthOptions {
  metadata: Pick<Metadata, 'probe'>
  blobs: Pick<BlobStore, 'probe'>
  log: FastifyBaseLogger
}

/** Looks whether the server can do its work; what fails, and why, is in the log. */
export function createHealth ({ metadata, blobs, log }: HealthOptions): Health {
  function createCheck (name: string, probe: () => Promise<void>): () => Promise<Condition> {
    let latest: Promise<Condition> | undefined
    let probing: Promise<void> | undefined

    async function look (): Promise<Condition> {
      // What hangs is asked but once: each try that waits for a disk holds one of the few threads that serve files.
      probing ??= probe().finally(() => { probing = undefined })
      try {
        await Promise.race([probing, lose()])
        return 'ok'
      } catch (error) {
        if (error instanceof Problem && error.code === 'storage_full') return 'full'
        log.error({ err: error, check: name }, 'a check of readiness failed')
        return 'failing'
      }
    }

    return () => {
      latest ??= look().finally(() => { setTimeout(() => { latest = undefined }, FRESH_MILLISECONDS).unref() })
      return latest
    }
  }

  const checkDatabase = createCheck('database', metadata.probe)
  const checkDisk = createCheck('disk', blobs.probe)
  return {
    async check () {
      const [database, disk] = await Promise.all([checkDatabase(), checkDisk()])
      return { database, disk }
    }
  }
}

async function lose (): Promise<never> {
  await wait(PATIENCE_MILLISECONDS, undefined, { ref: false })
  throw new Error(`no answer in ${PATIENCE_MILLISECONDS} ms`)
}
