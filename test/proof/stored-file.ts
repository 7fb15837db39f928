import type { Random } from '../kit/random.ts'

/** A change of a file's content: written bytes, or a new length. `at` counts the changes of the whole disk. */
export type ContentChange =
  | { readonly at: number, readonly offset: number, readonly bytes: Buffer }
  | { readonly at: number, readonly size: number }

/** How much unsynced data reached the disk: nothing, all, the first writes, or each block as of its own moment. */
export type Survival = 'nothing' | 'all' | 'first' | 'blocks'

interface PowerCut {
  readonly survival: Survival
  /** Whether the bytes of a growing file reach the disk before its new length, as in a journal with ordered data. */
  readonly isOrdered: boolean
}

/** A file on the disk: its durable content, and the changes since. */
export interface StoredFile {
  change (change: ContentChange): void
  /** Ends a sync that began after `before` changes of the disk. */
  sync (before: number): void
  /** The content that running processes see. */
  asSeen (): Buffer
  /**
   * The content after a power cut. A block that was written several times may be as after any of these writes; the
   * length is treated as another block.
   */
  afterPowerCut (random: Random, cut: PowerCut): Buffer
}

export function createStoredFile (): StoredFile {
  const durable = createContent()
  let pending: ContentChange[] = []

  function after (count: number): Content {
    const content = createContent(durable.bytes())
    for (const change of pending.slice(0, count)) content.apply(change)
    return content
  }

  function afterPowerCut (random: Random, { survival, isOrdered }: PowerCut): Buffer {
    const count = pending.length
    if (survival === 'nothing' || survival === 'all' || count === 0) return after(survival === 'all' ? count : 0).bytes()
    const largest = Math.max(durable.size(), ...pending.map(endOf))
    const blockBytes = random.pick([512, 4096])
    const first = random.below(count)
    const torn = random.below(largest / blockBytes + 1)
    const sizeMoment = survival === 'first' ? first + random.below(2) : random.below(count + 1)
    const size = after(sizeMoment).size()
    const momentOf = (block: number): number => {
      const moment = survival === 'first' ? first + (block < torn ? 1 : 0) : random.pick([0, count, random.below(count + 1)])
      return isOrdered && (block + 1) * blockBytes > durable.size() ? Math.max(moment, sizeMoment) : moment
    }
    const moments = Array.from({ length: Math.ceil(size / blockBytes) }, (_, block) => momentOf(block))
    return mix(moments, { blockBytes, size })
  }

  /** Each block after the given number of pending changes. */
  function mix (moments: number[], { blockBytes, size }: { blockBytes: number, size: number }): Buffer {
    const content = createContent(durable.bytes())
    content.resize(size)
    for (const [index, change] of pending.entries()) {
      const start = 'size' in change ? change.size : change.offset
      const end = 'size' in change ? size : Math.min(endOf(change), size)
      for (let block = Math.floor(start / blockBytes); block * blockBytes < end; block++) {
        if (index >= (moments[block] ?? 0)) continue
        const [from, to] = [Math.max(start, block * blockBytes), Math.min(end, (block + 1) * blockBytes)]
        content.write(from, 'size' in change ? Buffer.alloc(to - from) : change.bytes.subarray(from - start, to - start))
      }
    }
    return content.bytes()
  }

  return {
    change: change => { pending.push(change) },
    sync (before) {
      for (const change of pending) if (change.at < before) durable.apply(change)
      pending = pending.filter(change => change.at >= before)
    },
    asSeen: () => after(pending.length).bytes(),
    afterPowerCut
  }
}

function endOf (change: ContentChange): number {
  return 'size' in change ? change.size : change.offset + change.bytes.length
}

interface Content {
  bytes (): Buffer
  size (): number
  write (offset: number, bytes: Uint8Array): void
  resize (size: number): void
  apply (change: ContentChange): void
}

/** Bytes that grow and shrink like a file: the gap between the old end and a later write is filled with zeros. */
function createContent (initial: Uint8Array = Buffer.alloc(0)): Content {
  let buffer = Buffer.from(initial)
  let size = buffer.length

  function resize (newSize: number): void {
    if (newSize > buffer.length) buffer = Buffer.concat([buffer], Math.max(newSize, 2 * buffer.length))
    buffer.fill(0, Math.min(newSize, size), Math.max(newSize, size))
    size = newSize
  }

  function write (offset: number, bytes: Uint8Array): void {
    if (offset + bytes.length > size) resize(offset + bytes.length)
    buffer.set(bytes, offset)
  }

  return {
    bytes: () => buffer.subarray(0, size),
    size: () => size,
    write,
    resize,
    apply: change => 'size' in change ? resize(change.size) : write(change.offset, change.bytes)
  }
}
