import { load } from 'exifreader'

/** What a camera has written into a picture. */
interface PictureFacts {
  /** Local time, without a zone. */
  readonly takenAt?: string
  readonly camera?: string
  /** Latitude and longitude in degrees, negative in the south and west. */
  readonly place?: string
}

/** Some ten metres. */
const DIGITS = 4

/** Reads the EXIF data at the beginning of a picture. A picture without any, or a damaged one, has no facts. */
export function factsIn (bytes: ArrayBuffer): PictureFacts {
  try {
    // Nothing else: XMP is parsed as a document, which the policy of the page forbids.
    const { exif = {}, gps = {} } = load(bytes, { expanded: true, includeTags: { exif: true, gps: true } })
    const takenAt = localTimeOf(exif.DateTimeOriginal?.description ?? exif.DateTime?.description)
    const camera = cameraOf(exif.Make?.description, exif.Model?.description)
    const { Latitude: latitude, Longitude: longitude } = gps
    return {
      ...takenAt !== undefined && { takenAt },
      ...camera !== '' && { camera },
      ...latitude !== undefined && longitude !== undefined && {
        place: `${latitude.toFixed(DIGITS)}, ${longitude.toFixed(DIGITS)}`
      }
    }
  } catch {
    return {}
  }
}

/** EXIF writes `2024:07:01 12:30:00`. */
function localTimeOf (text = ''): string | undefined {
  const [, year, month, day, time] = /^(\d{4}):(\d\d):(\d\d) (\d\d:\d\d:\d\d)/.exec(text) ?? []
  const local = `${year}-${month}-${day}T${time}`
  return Number.isNaN(Date.parse(`${local}Z`)) ? undefined : local
}

/** Some models begin with the name of their maker. */
function cameraOf (make = '', model = ''): string {
  return model.toLowerCase().startsWith(make.toLowerCase()) ? model.trim() : `${make} ${model}`.trim()
}
