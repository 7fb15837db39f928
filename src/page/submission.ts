/** Returns the fields of a form that is submitted. The browser does not leave the page. */
export function fieldsOf (event: SubmitEvent): FormData {
  event.preventDefault()
  return new FormData(event.currentTarget as HTMLFormElement)
}
