import { frameOf, isJpeg } from './jpeg.ts'
import type { Source } from './sources.ts'

/** Reads bytes of a file: fewer than asked for at its end. */
type Read = (first: number, count: number) => Promise<DataView>

interface Place { readonly first: number, readonly size: number }

/** The numbers of an entry: as many as it has, or the place where they are. */
interface Field { readonly count: number, readonly value: number, readonly isHere: boolean }

interface Directory { readonly fields: ReadonlyMap<number, Field>, readonly next: number }

/** Fields of TIFF 6.0 and TIFF/EP. The last one is Panasonic's. */
const PHOTOMETRIC = 0x106
const STRIP_OFFSETS = 0x111
const STRIP_BYTES = 0x117
const SUB_DIRECTORIES = 0x14A
const JPEG_OFFSET = 0x201
const JPEG_BYTES = 0x202
const PANASONIC_JPEG = 0x2E

/** From here on, values of `PHOTOMETRIC` are of what sensors measure: there are no colours yet. */
const SENSOR = 32_803

/** Cameras write up to six directories. The limits end cycles in damaged files. */
const MAX_DIRECTORIES = 16
const MAX_FIELDS = 512

/** The frame of a JPEG is usually within so many bytes. */
const START_BYTES = 2048

/** Larger ones are not loaded into memory. */
const MAX_JPEG_BYTES = 50 * 1000 ** 2

/**
 * The JPEG that a camera has put into a raw file of the TIFF kind: the smallest with this many pixels on its longer
 * side, else the largest. Undefined if there is none. `head` is the beginning of the file, which is not read again.
 */
export async function jpegInRaw (
  source: Source, head: ArrayBuffer, pixels: number, signal?: AbortSignal
): Promise<Blob | undefined> {
  const read: Read = async (first, count) => {
    const end = Math.min(first + count, source.size)
    return new DataView(end <= head.byteLength
      ? head.slice(first, end)
      : await (await source.read(first, Math.max(end, first + 1), signal)).arrayBuffer())
  }
  const places = await placesOf(read).catch((error: unknown) => {
    // A damaged file leads out of itself.
    if (error instanceof RangeError) return []
    throw error
  })
  const chosen = await chooseFrom(places, read, pixels)
  if (chosen === undefined) return undefined
  const { first, size } = chosen
  return (await source.read(first, first + size, signal)).slice(0, size, 'image/jpeg')
}

async function chooseFrom (places: readonly Place[], read: Read, pixels: number): Promise<Place | undefined> {
  let largest: Place | undefined
  for (const place of places.filter(({ size }) => size <= MAX_JPEG_BYTES).sort((a, b) => a.size - b.size)) {
    const start = await read(place.first, Math.min(place.size, START_BYTES))
    const frame = frameOf(start)
    if (!isJpeg(start) || frame?.isShown === false) continue
    largest = place
    // A pixel takes about a bit, if the frame is further behind.
    const side = frame === undefined ? Math.sqrt(8 * place.size) : Math.max(frame.width, frame.height)
    if (side >= pixels) break
  }
  return largest
}

/** Where directories say that JPEGs are: some are pixels of the sensor. */
async function placesOf (read: Read): Promise<Place[]> {
  const head = await read(0, 8)
  const isLittle = head.getUint16(0) === 0x4949
  const places: Place[] = []
  const waiting = [head.getUint32(4, isLittle)]
  for (let visited = 0; visited < MAX_DIRECTORIES; visited++) {
    const first = waiting.shift()
    if (first === undefined) break
    const { fields, next } = await readDirectory(read, first, isLittle)
    places.push(...placesIn(fields))
    waiting.push(...[...await numbersOf(read, fields.get(SUB_DIRECTORIES), isLittle), next].filter(first => first > 0))
  }
  return places
}

function placesIn (fields: Directory['fields']): Place[] {
  const one = (tag: number) => fields.get(tag)?.count === 1 ? fields.get(tag)?.value : undefined
  if ((one(PHOTOMETRIC) ?? 0) >= SENSOR) return []
  const { value, count } = fields.get(PANASONIC_JPEG) ?? {}
  return [[one(JPEG_OFFSET), one(JPEG_BYTES)], [one(STRIP_OFFSETS), one(STRIP_BYTES)], [value, count]]
    .flatMap(([first, size]) => first !== undefined && size !== undefined ? [{ first, size }] : [])
}

async function readDirectory (read: Read, first: number, isLittle: boolean): Promise<Directory> {
  const count = (await read(first, 2)).getUint16(0, isLittle)
  if (count > MAX_FIELDS) throw new RangeError('no directory')
  const view = await read(first + 2, count * 12 + 4)
  const fields = new Map<number, Field>()
  for (let at = 0; at < count * 12; at += 12) {
    const [type, values] = [view.getUint16(at + 2, isLittle), view.getUint32(at + 4, isLittle)]
    const value = type === 3 && values === 1 ? view.getUint16(at + 8, isLittle) : view.getUint32(at + 8, isLittle)
    fields.set(view.getUint16(at, isLittle), { count: values, value, isHere: values === 1 })
  }
  return { fields, next: view.getUint32(count * 12, isLittle) }
}

/** The numbers of four bytes in a field. */
async function numbersOf (read: Read, field: Field | undefined, isLittle: boolean): Promise<number[]> {
  if (field === undefined || field.count > MAX_DIRECTORIES) return []
  if (field.isHere) return [field.value]
  const view = await read(field.value, field.count * 4)
  return Array.from({ length: field.count }, (_, index) => view.getUint32(index * 4, isLittle))
}
