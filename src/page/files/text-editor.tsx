import type { StoredFile } from 'magicstore'
import { useEffect, useRef, useState } from 'preact/hooks'
import { ActionButton } from '../action-button.tsx'
import { statusOf } from '../errors.ts'
import type { Unsaved } from '../links/use-unsaved.tsx'
import { ProblemText } from '../problem.tsx'
import { Question } from '../question.tsx'
import { texts } from '../later-texts.ts'
import { useAction } from '../use-action.ts'
import { useLoaded } from '../use-loaded.ts'
import { visibleName } from '../visible-name.ts'
import { openText, replaceText, saveText, type OpenedText } from './text-files.ts'

interface TextEditorProps {
  file: StoredFile
  unsaved: Unsaved
  onSaved: (file: StoredFile) => void
  onCancel: () => void
}

/** Changes a text in place. */
export function TextEditor ({ file, unsaved, onSaved, onCancel }: TextEditorProps) {
  const { value: opened, error } = useLoaded(signal => openText(file, signal))
  if (error !== undefined) return <ProblemText error={error} />
  if (opened === undefined) return <p class='muted' role='status'>{texts.loading}</p>
  if (opened.content === undefined) {
    return (
      <div class='actions'>
        <p role='alert'>{texts.editor.notText}</p>
        <button type='button' onClick={onCancel}>{texts.cancel}</button>
      </div>
    )
  }
  return <Field opened={opened} text={opened.content.text} unsaved={unsaved} onSaved={onSaved} onCancel={onCancel} />
}

interface FieldProps extends Omit<TextEditorProps, 'file'> { opened: OpenedText, text: string }

function Field ({ opened, text, unsaved, onSaved, onCancel }: FieldProps) {
  const field = useRef<HTMLTextAreaElement>(null)
  const [hasConflict, setConflict] = useState(false)
  const current = () => field.current?.value ?? text
  const saving = useAction(async () => {
    try {
      onSaved(await saveText(opened, current()))
    } catch (error) {
      if (statusOf(error) !== 412) throw error
      setConflict(true)
    }
  })
  useEffect(() => {
    unsaved.hasChanges.current = () => current() !== text
    field.current?.focus()
    return () => { unsaved.hasChanges.current = () => false }
  }, [])
  const press = (event: KeyboardEvent) => {
    if (event.key.toLowerCase() !== 's' || !(event.ctrlKey || event.metaKey)) return
    event.preventDefault()
    void saving.run()
  }
  const { editor } = texts
  return (
    <>
      <textarea
        class='shown' ref={field} defaultValue={text} onKeyDown={press} dir='auto' spellcheck={false}
        aria-label={editor.label(visibleName(opened.file.name))}
      />
      <ProblemText error={saving.error} />
      <div class='actions'>
        <ActionButton action={saving} class='primary'>{editor.save}</ActionButton>
        <button type='button' onClick={() => unsaved.leave(onCancel)}>{texts.cancel}</button>
      </div>
      {hasConflict && (
        <Question
          title={editor.conflict} label={editor.replace} onClose={() => setConflict(false)}
          action={async () => onSaved(await replaceText(opened, current()))}
        >
          <p>{editor.conflictHint}</p>
        </Question>
      )}
    </>
  )
}
