import type { Test } from 'tap'
import type { FilePosition } from '#src/metadata/records.ts'
import { MAX_MONTHS, mediaKinds, type MediaKind } from '#src/metadata/timelines.ts'
import { newFile, outcomes, unlimited } from './kit/records.ts'
import type { OpenMetadata } from './kit/reopening.ts'
import { openStory } from './uploads.contract.ts'

const signal = new AbortController().signal
const time = (text: string) => Date.parse(`${text}Z`)

interface Wanted {
  folder?: string | undefined
  isBelow?: boolean
  kinds?: readonly MediaKind[]
  isAscending?: boolean
  limit?: number
  signal?: AbortSignal
}

/** The contract in src/metadata/timelines.ts. */
export function suite (t: Test, open: OpenMetadata): void {
  async function start (t: Test) {
    const story = await openStory(t, open)
    const { metadata, ownerId } = story
    const selectionOf = ({ folder, isBelow = true, kinds = mediaKinds, signal: own = signal }: Wanted) =>
      ({ folder, isBelow, kinds, signal: own })
    return {
      ...story,
      months: (wanted: Wanted = {}) => metadata.timelines.months(ownerId, selectionOf(wanted)),
      /** All pages, the newest first; `pages`: how many there were. */
      async all (wanted: Wanted = {}) {
        const { isAscending = false, limit = 1000 } = wanted
        const names: string[] = []
        let after: FilePosition | undefined
        let pages = 0
        do {
          const page = { ...selectionOf(wanted), isAscending, limit, after }
          const { entries, next } = await metadata.timelines.list(ownerId, page)
          t.ok(entries.length <= limit)
          names.push(...entries.map(({ name }) => name))
          after = next
          pages++
        } while (after !== undefined)
        return { names, pages }
      }
    }
  }

  t.test('pictures and videos stand by when they were taken, else changed, the same on pages of every size', async t => {
    const { metadata, ownerId, clock, put, all } = await start(t)
    clock.set(time('2026-05-01T00:00:00'))
    await put('stored', { type: 'image/png' })
    await put('text')
    await put('in/changed', { type: 'video/mp4', modifiedAt: time('2025-01-01T00:00:00') })
    for (const name of ['in/deep/x', 'in/deep/y', 'in/deep/z']) await put(name, { type: 'IMAGE/x; a=b', modifiedAt: 5 })
    await put('inner/taken', { type: 'image/jpeg', modifiedAt: time('2026-06-01T00:00:00') })
    await metadata.pictures.put(ownerId, 'inner/taken', { takenAt: time('1999-12-31T23:59:59') }, { precondition: {}, quota: unlimited })
    await put('imagery', { type: 'imagery/png' })
    const names = ['stored', 'in/changed', 'inner/taken', 'in/deep/z', 'in/deep/y', 'in/deep/x']
    for (const limit of [1, 2, 3, 6, 7]) {
      t.strictSame((await all({ limit })).names, names, String(limit))
      t.strictSame((await all({ limit, isAscending: true })).names, names.toReversed(), String(limit))
      t.strictSame((await all({ limit, folder: 'in' })).names, ['in/changed', 'in/deep/z', 'in/deep/y', 'in/deep/x'])
    }
    t.strictSame(await all({ kinds: ['video'] }), { names: ['in/changed'], pages: 1 })
    t.strictSame((await all({ kinds: ['image'], folder: 'in' })).names, ['in/deep/z', 'in/deep/y', 'in/deep/x'])
    t.strictSame((await all({ folder: 'in', isBelow: false })).names, ['in/changed'])
    t.strictSame((await all({ folder: '', isBelow: false })).names, ['stored'])
    t.strictSame((await all({ folder: 'in/deep', isBelow: false, kinds: ['video'] })).names, [])
    t.strictSame(await outcomes([all({ folder: 'none' })]), { not_found: 1 })
    const everything = { folder: undefined, isBelow: true, kinds: mediaKinds, signal }
    const page = { ...everything, isAscending: true, limit: 9, after: undefined }
    t.strictSame(await metadata.timelines.list(ownerId + 1, page), { entries: [], searched: 0, next: undefined })
  })

  t.test('months are counted, the newest first, also before 1970, and of at most so many', async t => {
    const { put, months } = await start(t)
    const times = ['2024-02-29T23:59:59', '2024-02-01T00:00:00', '2024-01-31T23:59:59', '1969-12-31T23:59:59', '1970-01-01T00:00:00', '0000-01-01T00:00:00', '9999-12-31T23:59:59']
    for (const [index, text] of times.entries()) await put(`in/${index}`, { type: 'image/png', modifiedAt: time(text) })
    await put('in/video', { type: 'video/mp4', modifiedAt: time('2024-02-02T00:00:00') })
    await put('in/text', { modifiedAt: time('2024-02-02T00:00:00') })
    t.strictSame(await months(), [
      { month: '9999-12', files: 1 }, { month: '2024-02', files: 3 }, { month: '2024-01', files: 1 },
      { month: '1970-01', files: 1 }, { month: '1969-12', files: 1 }, { month: '0000-01', files: 1 }
    ])
    t.strictSame(await months({ kinds: ['video'], folder: 'in' }), [{ month: '2024-02', files: 1 }])
    t.strictSame(await months({ folder: '', isBelow: false }), [])
    t.strictSame(await outcomes([months({ folder: 'none' })]), { not_found: 1 })
    t.strictSame(await months({ signal: AbortSignal.abort() }), [])
    for (let month = 0; month <= MAX_MONTHS; month++) await put(`m/${month}`, { type: 'image/png', modifiedAt: Date.UTC(2100, month) })
    const all = await months({ folder: 'm' })
    t.strictSame([all.length, all[0], all.at(-1)], [MAX_MONTHS, { month: '2200-01', files: 1 }, { month: '2100-02', files: 1 }])
  })

  t.test('a part of a large timeline is found in pages that read a bounded part of it', async t => {
    const { metadata, ownerId, put, all } = await start(t)
    const many = async (folder: string, count: number, modifiedAt: (index: number) => number) => {
      for (let from = 0; from < count; from += 100) {
        await Promise.all(Array.from({ length: Math.min(100, count - from) }, (_, index) => metadata.files.add(
          newFile(ownerId, `${folder}/${from + index}`, { type: 'image/png', modifiedAt: modifiedAt(from + index) }), unlimited)))
      }
    }
    await put('few/last', { type: 'image/png', modifiedAt: 10 })
    // More than are read at a time, of which most have one time.
    await many('many', 2500, index => index < 2300 ? 50 : 60 + index)
    await put('few/first', { type: 'video/mp4', modifiedAt: 1e6 })
    for (const isAscending of [true, false]) {
      const names = isAscending ? ['few/last', 'few/first'] : ['few/first', 'few/last']
      t.strictSame(await all({ folder: 'few', isAscending }), { names, pages: 1 })
      t.strictSame((await all({ folder: 'few', isAscending, limit: 1 })).names, names)
      t.equal(new Set((await all({ isAscending, limit: 999 })).names).size, 2502)
    }
    t.strictSame((await all({ kinds: ['video'] })).names, ['few/first'])
    t.equal((await metadata.timelines.months(ownerId, { folder: 'many', isBelow: true, kinds: mediaKinds, signal })).at(0)?.files, 2500)
  })
}
