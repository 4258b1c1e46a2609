// Buttons that copy a text; where the browser does not let them, the text is selected instead.
export function copyButtons(root) {
  for (const button of root.querySelectorAll('[data-copy]')) button.addEventListener('click', () => copy(button));
}

async function copy(button) {
  const source = document.getElementById(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(source.textContent);
  } catch {
    const range = document.createRange();
    range.selectNodeContents(source);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
  }
  const label = button.textContent;
  button.textContent = button.dataset.done;
  document.getElementById('announce').textContent = button.dataset.done;
  setTimeout(() => { button.textContent = label; }, 2000);
}
