import { useState } from 'preact/hooks'
import { kindOf } from '../files/kinds.ts'
import { Media, type MediaKind } from '../files/media.tsx'
import { lastOf } from '../paths.ts'
import { visibleName } from '../visible-name.ts'
import { whyNot } from './download-link.tsx'
import { texts } from './texts.ts'
import { ask, bytesAddress, bytesPath, followRefusal } from './visit.ts'

interface MediaFile { readonly name: string, readonly type: string }

/** Whether the page can show a file: it shows only what the elements of the browser for media can. */
export function canShow (file: MediaFile): boolean {
  return ['image', 'audio', 'video'].includes(kindOf(file))
}

/** Shows an image, a sound or a video. */
export function MediaPreview ({ file }: { file: MediaFile }) {
  const [failure, setFailure] = useState<string>()
  // The event of an element has no reason. If the server refused, it refuses this request too.
  const explain = () => {
    ask(bytesPath(file.name), { method: 'HEAD' }).then(() => setFailure(texts.brokenPreview), (error: unknown) => {
      setFailure(whyNot(error))
      followRefusal(error)
    })
  }
  if (failure !== undefined) return <p class='no-preview muted' role='status'>{failure}</p>
  const name = visibleName(lastOf(file.name))
  return <Media kind={kindOf(file) as MediaKind} address={bytesAddress(file.name)} name={name} onFail={explain} />
}
