import { MAX_SEGMENT_BYTES, numberedName } from '../metadata/paths.ts'

/** What Windows has in no name. */
const FORBIDDEN = /[<>:"|?*\\\p{Cc}]/gu

/** Devices of Windows, also with an extension. */
const DEVICE = /^(?:CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(?:COM|LPT)[0-9¹²³]) *(?:\.|$)/i

/** Windows drops these at the end of a name. */
const DROPPED = /[. ]+$/

/** Numbers that are tried for each name. Beyond, the numbers of a folder only grow, so that each is tried once. */
const MAX_OWN_NUMBER = 9

/** The names in one folder of a zip, such that Windows and macOS unzip each to a file of its own. */
export class ZipNames {
  readonly #taken = new Set<string>()
  #lastNumber = MAX_OWN_NUMBER

  /** The name for a segment: as similar as possible, and not yet taken in any case of its letters. */
  add (segment: string): string {
    const safe = safeSegment(segment)
    let name = safe
    let number = 1
    while (this.#taken.has(folded(name))) {
      number = number < MAX_OWN_NUMBER ? number + 1 : ++this.#lastNumber
      name = numberedName(safe, number)
    }
    this.#taken.add(folded(name))
    return name
  }
}

function safeSegment (segment: string): string {
  const plain = segment.replace(FORBIDDEN, '_')
  const name = DEVICE.test(plain) ? cut(`_${plain}`) : plain
  return name.replace(DROPPED, dropped => '_'.repeat(dropped.length))
}

function cut (name: string): string {
  const points = Array.from(name)
  while (Buffer.byteLength(points.join('')) > MAX_SEGMENT_BYTES) points.pop()
  return points.join('')
}

/** Equal for names that are one file where case does not count. */
function folded (name: string): string {
  return name.toLowerCase().toUpperCase().normalize('NFC')
}
