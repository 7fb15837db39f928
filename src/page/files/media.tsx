export type MediaKind = 'image' | 'audio' | 'video'

interface MediaProps { kind: MediaKind, address: string, name: string, onFail: () => void }

/** Elements of the browser in which nothing of a file can run: SVG is shown as an image. */
export function Media ({ kind, address, name, onFail }: MediaProps) {
  const media = { class: 'shown', src: address, onError: onFail }
  switch (kind) {
    case 'image': return <img {...media} alt={name} />
    case 'audio': return <audio {...media} controls aria-label={name} />
    case 'video': return <video {...media} controls playsInline aria-label={name} />
  }
}
