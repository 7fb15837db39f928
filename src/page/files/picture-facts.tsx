import { Detail } from '../detail.tsx'
import { Time } from '../time.tsx'
import { useLoaded } from '../use-loaded.ts'

/** Cameras write what they know at the beginning of a picture. */
const EXIF_BYTES = 256 * 1024

interface Picture { readonly type: string, readonly size: number, readonly takenAt: string | null }

interface PictureFactsProps {
  file: Picture
  words: { readonly taken: string, readonly camera: string, readonly place: string }
  /** Reads the first bytes. */
  read: (bytes: number, signal?: AbortSignal) => Promise<Blob>
}

/** When, with what and where a picture was taken, as far as it is known. */
export function PictureFacts ({ file, words, read }: PictureFactsProps) {
  const { value } = useLoaded(async signal => {
    if (!/^image\//i.test(file.type)) return
    const bytes = await read(Math.min(file.size, EXIF_BYTES), signal)
    const { factsIn } = await import('./picture-exif.ts')
    return factsIn(await bytes.arrayBuffer())
  })
  // Without a zone: it is shown as it is.
  const takenAt = file.takenAt ?? value?.takenAt
  if (takenAt === undefined && value === undefined) return null
  return (
    <dl class='file-details'>
      {takenAt !== undefined && <Detail label={words.taken}><Time timestamp={takenAt} /></Detail>}
      {value?.camera !== undefined && <Detail label={words.camera}><bdi>{value.camera}</bdi></Detail>}
      {value?.place !== undefined && <Detail label={words.place}><bdi>{value.place}</bdi></Detail>}
    </dl>
  )
}
