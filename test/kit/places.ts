import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** A text that belongs to a folder: made at the first call, and the same while the folder is there. */
export async function textOf (place: string, name: string, make: () => string | Promise<string>): Promise<string> {
  // A data folder may have this folder from the start, whatever is in it.
  const folder = join(place, 'lost+found')
  const file = join(folder, name)
  const known = await readFile(file, 'utf8').catch(() => undefined)
  if (known !== undefined) return known
  const made = await make()
  await mkdir(folder, { recursive: true })
  await writeFile(file, made)
  return made
}
