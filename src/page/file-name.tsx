import { lastOf, parentOf } from './paths.ts'
import { frameTexts } from './frame-texts.ts'
import { piecesOf, visibleName } from './visible-name.ts'

interface NameProps { name: string, class?: string | undefined }

/** What tells files apart at the end of their names: a number, and an extension. `-0012.jpg` or ` (2).txt`. */
const ENDING = /((?:[ _-]?\(?\p{Nd}{1,6}\)?)?)((?:\.\w{1,10})?)$/u

/** The name of a file, in its own text direction, with marks for invisible characters. */
export function FileName ({ name, class: className }: NameProps) {
  return (
    <bdi class={className} title={visibleName(name)}>
      <Marked name={name} />
    </bdi>
  )
}

function Marked ({ name }: { name: string }) {
  return (
    <>
      {piecesOf(name)
        .map((piece, index) => index % 2 === 0 ? piece : <mark key={index} title={frameTexts.invisible}>{piece}</mark>)}
    </>
  )
}

/**
 * The name of a file in one line. If there is little room, its middle is cut. Screen readers read a space there: the
 * control around it needs an `aria-label`.
 */
export function CutName ({ name }: NameProps) {
  // Apart, because from right to left the number would else change its side.
  const [ending = '', ...parts] = ENDING.exec(name) ?? []
  return (
    <bdi class='cut-name' title={visibleName(name)}>
      <span class='stem'><Marked name={name.slice(0, name.length - ending.length)} /></span>
      {parts.map((part, index) => part !== '' && <span key={index} class='ending'>{part}</span>)}
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
