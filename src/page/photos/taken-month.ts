/** The beginning of a picture, which has its EXIF. */
const HEAD_BYTES = 128 * 1024

/** Tags of EXIF 2.32: where the directory of the camera is, and when it took the picture. */
const EXIF_DIRECTORY = 0x8769
const DATE_TIME_ORIGINAL = 0x9003

/** The year and month in which a picture was taken, or else the file changed, such as `2026/11`. */
export async function monthOf (file: File): Promise<string> {
  const taken = takenAt(new Uint8Array(await file.slice(0, HEAD_BYTES).arrayBuffer()))
  if (taken !== undefined) return taken
  const changed = new Date(file.lastModified)
  return `${changed.getFullYear()}/${String(changed.getMonth() + 1).padStart(2, '0')}`
}

function takenAt (bytes: Uint8Array<ArrayBuffer>): string | undefined {
  const start = exifIn(bytes)
  if (start === -1) return undefined
  try {
    const tiff = new DataView(bytes.buffer, start)
    const isLittle = tiff.getUint16(0) === 0x4949
    const camera = find(tiff, EXIF_DIRECTORY, tiff.getUint32(4, isLittle), isLittle)
    const place = camera && find(tiff, DATE_TIME_ORIGINAL, camera, isLittle)
    const text = place === undefined ? '' : String.fromCharCode(...bytes.subarray(start + place, start + place + 10))
    const [, year, month] = /^((?:19|20)\d\d):(0[1-9]|1[0-2]):\d\d$/.exec(text) ?? []
    return year === undefined ? undefined : `${year}/${month}`
  } catch {
    // It is cut off, or no EXIF.
    return undefined
  }
}

/** Where the TIFF of the EXIF begins: after `Exif` and two zeros. */
function exifIn (bytes: Uint8Array): number {
  const mark = [0x45, 0x78, 0x69, 0x66, 0, 0]
  const place = bytes.findIndex((_, at) => mark.every((byte, index) => bytes[at + index] === byte))
  return place === -1 ? -1 : place + mark.length
}

/** The value of a tag in a directory. Of text it is the place. @throws RangeError */
function find (tiff: DataView, wanted: number, directory: number, isLittle: boolean): number | undefined {
  const count = tiff.getUint16(directory, isLittle)
  for (let index = 0; index < count; index++) {
    const entry = directory + 2 + 12 * index
    if (tiff.getUint16(entry, isLittle) === wanted) return tiff.getUint32(entry + 8, isLittle)
  }
  return undefined
}
