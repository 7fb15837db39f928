import { MagicStoreError } from 'magicstore'
import { useId } from 'preact/hooks'
import { mayPass } from '../errors.ts'
import { fieldsOf, NameField } from '../fields.tsx'
import { lockedBy } from '../locks.ts'
import { BreakLock } from '../problem.tsx'
import { texts } from '../later-texts.ts'
import { failureText } from './failure.ts'
import { FileUnreadable, ImpossibleName } from './obstacles.ts'
import { renameUpload, resume } from './queue.ts'
import type { Upload } from './upload.ts'

/** Why an upload failed, and what can be done about it. */
export function FailureActions ({ upload, error }: { upload: Upload, error: unknown }) {
  const id = useId()
  const { title, detail } = failureText(error)
  return (
    <>
      <div class='problem' id={id}>
        <p><strong>{title}</strong>{detail !== undefined && <> <span dir='auto'>{detail}</span></>}</p>
      </div>
      {isOfName(error)
        ? <NameForm upload={upload} problemId={id} />
        : (
          <>
            {lockedBy(error).length > 0 && <BreakLock error={error} onBroken={() => resume(upload)} />}
            {mayPass(error) && !(error instanceof FileUnreadable) && (
              <div class='actions'><button type='button' onClick={() => resume(upload)}>{texts.tryAgain}</button></div>
            )}
          </>
        )}
    </>
  )
}

function NameForm ({ upload, problemId }: { upload: Upload, problemId: string }) {
  const submit = (event: SubmitEvent) => renameUpload(upload, String(fieldsOf(event).get('name')))
  return (
    <form class='upload-rename' onSubmit={submit} aria-describedby={problemId}>
      <NameField label={texts.uploads.rename.label} name={upload.name.value} />
      <button>{texts.uploads.rename.submit}</button>
    </form>
  )
}

/** Whether another name may help. */
function isOfName (error: unknown): boolean {
  if (error instanceof ImpossibleName) return true
  if (!(error instanceof MagicStoreError)) return false
  const isRefused = ['name_invalid', 'name_taken'].includes(error.code ?? '')
  return isRefused || error.problem?.errors?.some(({ field }) => field === 'name') === true
}
