import { useEffect } from 'preact/hooks'
import { FileName } from '../file-name.tsx'
import { formatSize } from '../format.ts'
import { Icon } from '../icon.tsx'
import { isDragging, takeFiles } from '../uploads/drops.ts'
import { useChooser } from '../uploads/use-chooser.ts'
import { Facts } from './facts.tsx'
import { addFiles, hadFolders } from './sendings.ts'
import { texts } from './texts.ts'
import type { SharedLink } from './visit.ts'

const words = texts.request

/** A request for files: the place to drop or choose them, and how many there is room for. */
export function RequestView ({ link }: { link: SharedLink }) {
  const { files = 0, bytes = 0 } = link.accepts ?? {}
  const isFull = files === 0 || bytes === 0
  useEffect(() => isFull ? undefined : takeFiles(found => { void found.then(addFiles) }), [isFull])
  return (
    <section class='card'>
      <h1 dir='auto'>{words.title} <FileName name={link.name} /></h1>
      <Facts link={link} />
      {isFull
        ? <p class='warning'>{words.full}</p>
        : (
          <div class='drop-area'>
            <p>{words.hint}</p>
            <ChooseFiles />
            <p class='muted' role='status'>{words.left(files, formatSize(bytes))}</p>
          </div>
        )}
      <p class='hint' role='status'>{hadFolders.value && words.foldersLeftOut}</p>
      {isDragging.value && <div class='drop-target' role='status'><p>{words.dropHere}</p></div>}
    </section>
  )
}

function ChooseFiles () {
  const { open, input } = useChooser(addFiles)
  return (
    <>
      <button type='button' class='primary' onClick={open}><Icon name='upload' />{words.choose}</button>
      <input {...input} type='file' multiple hidden />
    </>
  )
}
