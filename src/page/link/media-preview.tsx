import { useState } from 'preact/hooks'
import { kindOf } from '../files/kinds.ts'
import { lastOf } from '../paths.ts'
import { visibleName } from '../visible-name.ts'
import { whyNot } from './download-link.tsx'
import { texts } from './texts.ts'
import { ask, bytesAddress, bytesPath, followRefusal } from './visit.ts'

interface MediaFile { readonly name: string, readonly type: string }

/** Whether the page can show a file. Only by elements in which nothing of the file runs: SVG is shown as an image. */
export function canShow (file: MediaFile): boolean {
  return ['image', 'audio', 'video'].includes(kindOf(file))
}

/** Shows an image, a sound or a video. */
export function MediaPreview ({ file }: { file: MediaFile }) {
  const [failure, setFailure] = useState<string>()
  const name = visibleName(lastOf(file.name))
  const address = bytesAddress(file.name)
  // The event of an element has no reason. If the server refused, it refuses this request too.
  const explain = () => {
    ask(bytesPath(file.name), { method: 'HEAD' }).then(() => setFailure(texts.brokenPreview), (error: unknown) => {
      setFailure(whyNot(error))
      followRefusal(error)
    })
  }
  if (failure !== undefined) return <p class='no-preview muted' role='status'>{failure}</p>
  switch (kindOf(file)) {
    case 'image': return <img class='shown' src={address} alt={name} onError={explain} />
    case 'audio': return <audio class='shown' src={address} controls aria-label={name} onError={explain} />
    case 'video': return <video class='shown' src={address} controls playsInline aria-label={name} onError={explain} />
    default: return null
  }
}
