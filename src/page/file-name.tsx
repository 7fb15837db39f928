import { texts } from './texts.ts'
import { piecesOf, visibleName } from './visible-name.ts'

/** The name of a file, in its own direction, with marks for characters that can't be seen. */
export function FileName ({ name, class: className }: { name: string, class?: string }) {
  return (
    <bdi class={className} title={visibleName(name)}>
      {piecesOf(name)
        .map((piece, index) => index % 2 === 0 ? piece : <mark key={index} title={texts.invisible}>{piece}</mark>)}
    </bdi>
  )
}
