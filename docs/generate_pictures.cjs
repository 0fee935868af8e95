'use strict';

// Draws each Graphviz source of this folder, into this folder or the one that is given.
const fs = require('fs');
const path = require('path');
const { instance } = require('@viz-js/viz');

async function draw(target) {
  const viz = await instance();
  for (const name of fs.readdirSync(__dirname)) {
    if (path.extname(name) === '.dot') {
      const source = fs.readFileSync(path.join(__dirname, name), 'utf8');
      const picture = path.join(target, `${path.parse(name).name}.svg`);
      fs.writeFileSync(picture, viz.renderString(source, { format: 'svg' }));
    }
  }
}

draw(process.argv[2] ?? __dirname);
