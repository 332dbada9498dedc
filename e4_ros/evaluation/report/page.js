const dark = matchMedia('(prefers-color-scheme: dark)');

function ink(layout) {
  const style = getComputedStyle(document.documentElement);
  const read = name => style.getPropertyValue(name).trim();
  const change = {'font.color': read('--ink'), 'font.family': getComputedStyle(document.body).fontFamily,
                  'hoverlabel.bgcolor': read('--card'), 'hoverlabel.font.color': read('--ink'),
                  'hoverlabel.bordercolor': read('--line')};
  for (const key of Object.keys(layout)) {
    if (/^[xy]axis/.test(key)) {
      change[key + '.gridcolor'] = read('--grid');
      change[key + '.linecolor'] = read('--line');
      change[key + '.tickcolor'] = read('--line');
      change[key + '.tickfont.color'] = read('--dim');
      change[key + '.title.font.color'] = read('--dim');
      change[key + '.title.font.size'] = 12;
    }
  }
  return change;
}

for (const section of document.querySelectorAll('.pair section')) {
  if (!(section.querySelector('div').id in figures)) section.remove();
}
for (const [id, figure] of Object.entries(figures)) {
  const options = {responsive: true, displayModeBar: false};
  Plotly.newPlot(id, figure.data, figure.layout, options).then(() => Plotly.relayout(id, ink(figure.layout)));
}
dark.addEventListener('change', () => {
  for (const [id, figure] of Object.entries(figures)) Plotly.relayout(id, ink(figure.layout));
});
