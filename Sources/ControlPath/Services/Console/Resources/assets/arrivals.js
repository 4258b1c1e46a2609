// Servers that report while somebody waits for them.
export function arrivals(place, values) {
  const known = new Set(place.dataset.arrivals.split(' '));
  const list = document.getElementById('arrived');
  for (const [key, name] of Object.entries(values)) {
    if (!key.startsWith('source.') || name === null) continue;
    const id = key.slice(7);
    if (known.has(id) || document.getElementById(`arrived-${id}`)) continue;
    const item = document.createElement('li');
    item.id = `arrived-${id}`;
    item.className = 'row';
    const text = document.createElement('p');
    text.textContent = place.dataset.found.replace('{name}', name);
    const link = document.createElement('a');
    link.className = 'button primary big';
    link.href = place.dataset.start + encodeURIComponent(id);
    link.textContent = place.dataset.startLabel;
    item.append(text, link);
    list.append(item);
    document.getElementById('waiting').hidden = true;
    document.getElementById('announce').textContent = text.textContent;
  }
}
