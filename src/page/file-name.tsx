import { lastOf, parentOf } from './paths.ts'
import { frameTexts } from './frame-texts.ts'
import { piecesOf, visibleName } from './visible-name.ts'

interface NameProps { name: string, class?: string | undefined }

/** The name of a file, in its own direction, with marks for characters that can't be seen. */
export function FileName ({ name, class: className }: NameProps) {
  return (
    <bdi class={className} title={visibleName(name)}>
      {piecesOf(name)
        .map((piece, index) => index % 2 === 0 ? piece : <mark key={index} title={frameTexts.invisible}>{piece}</mark>)}
    </bdi>
  )
}

/** The whole path of a file. If there is little room, its folder is cut first. */
export function PathName ({ name, class: className = '' }: NameProps) {
  const folder = parentOf(name)
  if (folder === '') return <FileName name={name} class={className} />
  return (
    <bdi class={`path-name ${className}`} title={visibleName(name)}>
      <FileName name={`${folder}/`} class='in-folder' />
      <FileName name={lastOf(name)} class='last' />
    </bdi>
  )
}
