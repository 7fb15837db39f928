import { useId } from 'preact/hooks'
import { ActionButton } from '../action-button.tsx'
import { PathName } from '../file-name.tsx'
import { formatSize } from '../format.ts'
import { Icon } from '../icon.tsx'
import { parentOf } from '../paths.ts'
import { ProblemText } from '../problem.tsx'
import { texts } from '../later-texts.ts'
import { useAction } from '../use-action.ts'
import { AddFiles } from './add-files.tsx'
import { cancelUnfinished, unfinished, type UnfinishedUpload } from './unfinished.ts'

/** An account can have a thousand. */
const MAX_ROWS = 20

/** Uploads that were interrupted, for example by a reload. */
export function UnfinishedList () {
  const titleId = useId()
  const all = unfinished.value
  if (all.length === 0) return null
  return (
    <section class='unfinished' aria-labelledby={titleId}>
      <h3 id={titleId}>{texts.uploads.unfinished.title}</h3>
      <p class='muted'>{texts.uploads.unfinished.explanation}</p>
      <ul>
        {all.slice(0, MAX_ROWS).map(upload => <UnfinishedRow key={upload.id} upload={upload} />)}
      </ul>
      {all.length > MAX_ROWS && <p class='muted'>{texts.uploads.more(all.length - MAX_ROWS)}</p>}
    </section>
  )
}

function UnfinishedRow ({ upload }: { upload: UnfinishedUpload }) {
  const cancelling = useAction(() => cancelUnfinished(upload.id))
  const { name, size, offset } = upload
  const words = texts.uploads.unfinished
  return (
    <li class='upload'>
      <div class='upload-head'>
        <PathName name={name} class='upload-name' />
        <span class='upload-controls'>
          <ActionButton action={cancelling} class='quiet' aria-label={texts.uploads.cancelUnfinished(name)}>
            <Icon name='close' />
          </ActionButton>
        </span>
      </div>
      {size === null
        ? <p class='muted'>{words.sizeUnknown(formatSize(offset))}</p>
        : (
          <>
            <p class='muted'>{words.progress(formatSize(offset), formatSize(size))}</p>
            <div class='actions'>
              <AddFiles folder={parentOf(name)} label={words.choose} name={words.chooseFor(name)} class='' />
            </div>
          </>
        )}
      <ProblemText error={cancelling.error} />
    </li>
  )
}
