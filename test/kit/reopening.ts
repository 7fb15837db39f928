import type { Test } from 'tap'
import type { RetentionPolicy } from '#src/metadata/retention-records.ts'
import type { Metadata } from '#src/metadata/metadata.ts'

/** Opens a database at a path. By default nothing is kept, and the time is that of the database. */
export type OpenMetadata = (
  place: string, options?: { readonly retentionPolicy?: RetentionPolicy, readonly clock?: () => number }
) => Promise<Metadata>

/** What `open` makes of a new folder, closed when the test ends. `reopen` closes it and opens the folder again. */
export async function openFresh<T extends { close (): Promise<void> }> (
  t: Test, open: (place: string) => Promise<T>
): Promise<{ opened: T, place: string, reopen: () => Promise<T> }> {
  const place = t.testdir()
  let current = await open(place)
  t.teardown(() => current.close())
  const reopen = async () => {
    await current.close()
    current = await open(place)
    return current
  }
  return { opened: current, place, reopen }
}
