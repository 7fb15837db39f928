/** A field for the name of a file, called `name` in its form. */
export function NameField ({ label, name }: { label: string, name: string }) {
  return (
    <label>{label}
      <input name='name' defaultValue={name} required dir='auto' autocomplete='off' spellcheck={false} />
    </label>
  )
}
