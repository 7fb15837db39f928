import { useState } from 'preact/hooks'
import { kindOf } from '../files/kinds.ts'
import { Icon } from '../icon.tsx'
import type { FileEntry } from './folder-entries.ts'
import { linkAddress } from './visit.ts'

/** The small picture of a file, or if the server has none, the icon of its kind. */
export function SmallPicture ({ file }: { file: FileEntry }) {
  const [address, setAddress] = useState(pictureOf(file))
  if (address === undefined) return <Icon name={kindOf(file)} />
  const hide = () => setAddress(undefined)
  return <img class='small-picture' src={address} alt='' loading='lazy' decoding='async' onError={hide} />
}

/**
 * The address of the small picture of a file; undefined if it has none. The query differs for each content, because
 * browsers keep the image of an address as long as a page is open.
 */
export function pictureOf ({ name, sha256, hasThumbnail }: FileEntry): string | undefined {
  return hasThumbnail ? `${linkAddress}/thumbnails/${encodeURIComponent(name)}?${sha256}` : undefined
}
