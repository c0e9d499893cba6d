"""The report of a quantisation: parsed strictly, and shown by a real browser.

Node, tensor and file names are hostile. Always: tags that fit together, one script, no handler and no address that
leaves the page, every link leads somewhere, the same bytes again, 300 layers in less than 1 MB. Where chromium is or
can be installed: no sideways scrolling at 360 px, tables sort by their headers, nothing is requested, no name becomes
markup, light and dark differ, it prints.
"""
import html
import html.parser
import json
import os
import re
import shutil
import subprocess
import tempfile

import judge
import numpy as np
import onnx
from judge import OUT, check, fail, skip, slipway
from onnx import TensorProto, helper, numpy_helper

HOSTILE = '<script>window.hacked=1</script>"\'&amp;<img src=x onerror="window.hacked=2">'
VOID = {'meta', 'img', 'path'}
OPTIONAL_END = {'html', 'body', 'li', 'dt', 'dd', 'p', 'tr', 'td', 'th', 'thead', 'tbody'}
rng = np.random.default_rng(11)


def net(path, layers, name):
    consts, nodes, last = [], [], 'x'
    for i in range(layers):
        w = (rng.standard_normal((8, 3 if i == 0 else 8, 1, 1)) * 0.6).astype(np.float32)
        consts.append(numpy_helper.from_array(w, f'w{i}'))
        out = 'y' if i == layers - 1 else f'{name}{i}'
        nodes.append(helper.make_node('Conv', [last, f'w{i}'], [out], name=f'{name}{i}'))
        last = out
        if i % 8 == 3:
            nodes.append(helper.make_node('Tanh', [last], [f'{name}t{i}'], name=f'{name}t{i}'))
            last = f'{name}t{i}'
    graph = helper.make_graph(nodes, 'net', [helper.make_tensor_value_info('x', TensorProto.FLOAT, [1, 3, 6, 6])],
                              [helper.make_tensor_value_info('y', TensorProto.FLOAT, None)], consts)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8), path)


def report(model, page):
    status, text, errors = slipway('quantize', model, '--scheme', 'int8', '--calib', 'random:1:2', '--report', page,
                                   '--json')
    if status:
        raise RuntimeError(errors)
    with open(page, encoding='utf-8') as f:
        return f.read(), json.loads(text)['analysis']


class Page(html.parser.HTMLParser):
    """Every tag that must be closed is, in order; collects what the checks want."""

    def __init__(self, text):
        super().__init__()
        self.open, self.faults, self.ids, self.links, self.text, self.scripts = [], [], [], [], [], 0
        self.rows = {}
        self.table = None
        self.feed(text)
        self.close()
        if [t for t in self.open if t not in OPTIONAL_END]:
            self.faults.append(f'never closed: {self.open}')

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.scripts += tag == 'script'
        if tag in ('img', 'iframe', 'link', 'object', 'embed', 'form', 'base'):
            self.faults.append(f'<{tag}>')
        for k, v in attrs.items():
            if k.startswith('on') or k in ('src', 'srcset', 'action', 'data', 'xlink:href'):
                self.faults.append(f'attribute {k}={v}')
            if k == 'href':
                self.links.append(v)
            if k == 'id':
                self.ids.append(v)
        if tag == 'table':
            self.table = attrs.get('id')
        if tag == 'tr' and self.table:
            self.rows[self.table] = self.rows.get(self.table, 0) + 1
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        if tag not in VOID:
            self.faults.append(f'<{tag}/>')

    def handle_endtag(self, tag):
        while self.open and self.open[-1] != tag and self.open[-1] in OPTIONAL_END:
            self.open.pop()
        if not self.open or self.open.pop() != tag:
            self.faults.append(f'</{tag}> closes nothing')
        if tag == 'table':
            self.table = None

    def handle_data(self, data):
        self.text.append(data)


def structure(text, analysis):
    p = Page(text)
    style = text[text.index('<style>'):text.index('</style>')]
    check('tags fit together', not p.faults, p.faults[:3])
    check('one script', p.scripts == 1, p.scripts)
    check('no address leaves the page', all(l.startswith('#') for l in p.links) and 'url(' not in style
          and '@import' not in style and 'http' not in text, [l for l in p.links if l[0] != '#'][:3])
    check('links lead somewhere', set(l[1:] for l in p.links) <= set(p.ids) and len(set(p.ids)) == len(p.ids), '')
    check('a row for each layer', p.rows.get('layers') == len(analysis['layers']) + 1, p.rows)
    seen = ''.join(p.text)
    check('hostile names stay text', HOSTILE + '0' in seen and 'hostile<b>.onnx' in seen.split('To repeat this')[1], '')
    check('nothing of the place', OUT not in text and not re.search(r'20\d\d-\d\d-\d\d', text), '')
    order = [float(v) for v in re.findall(r'</a><td>[^<]*<td data-v=([-0-9.e+]+)', text)]
    check('worst first', len(order) == len(analysis['layers']) and order == sorted(order), order[:5])


# What the browser is asked: the page sits in a frame of 360 px, of the same origin.
HARNESS = '''<!doctype html><meta charset=utf-8><title>harness</title><pre id=result></pre>
<iframe id=f style="width:360px;height:1500px;border:0" srcdoc="%s"></iframe>
<script>
f.onload=()=>{const d=f.contentDocument,w=f.contentWindow,r={};
r.width=d.documentElement.scrollWidth;
r.hacked=String(w.hacked)+String(window.hacked);
r.requests=w.performance.getEntriesByType('resource').map(e=>e.name);
const t=d.getElementById('layers'),col=k=>[...t.tBodies[0].rows].map(x=>x.cells[k].dataset.v??x.cells[k].textContent);
const th=[...t.tHead.rows[0].cells],click=k=>{th[k].click();return col(k)};
r.alone=col(3);r.up=click(3);r.down=click(3);r.names=click(1);
th[0].dispatchEvent(new w.KeyboardEvent('keydown',{key:'Enter'}));r.order=col(0);r.sorted=th[0].getAttribute('aria-sort');
r.background=w.getComputedStyle(d.documentElement).backgroundColor;
w.location.hash='#L5';setTimeout(()=>{r.opened=d.getElementById('L5').open;
result.textContent=JSON.stringify(r)},300)}
</script>'''


def browser():
    names = ('chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome')
    found = next((p for n in names if (p := shutil.which(n))), None)
    if not found:
        root = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..')
        subprocess.run(['bash', '-c', '. tools/house.sh; as_root apt-get update -q </dev/null >&2; '
                        'bring_in_wanted "cmd:chromium chromium"'], cwd=root, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=300)
        found = shutil.which('chromium')
    return found


def chromium(program, *words):
    with tempfile.TemporaryDirectory() as home:
        return subprocess.run([program, '--headless=new', '--no-sandbox', '--disable-gpu', '--hide-scrollbars',
                               f'--user-data-dir={home}', '--host-resolver-rules=MAP * ~NOTFOUND',
                               '--virtual-time-budget=4000', *words], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=120)


def ask(program, text, *words):
    page = f'{OUT}/harness.html'
    with open(page, 'w', encoding='utf-8') as f:
        f.write(HARNESS % html.escape(text, quote=True))
    done = chromium(program, '--dump-dom', *words, f'file://{page}')
    answer = re.search(r'<pre id="result">(.*?)</pre>', done.stdout, re.S)
    if not answer or not answer[1]:
        raise RuntimeError(f'the browser says nothing: {done.stderr[-300:]}')
    return json.loads(html.unescape(answer[1]))


def shown(program, text, wide):
    r = ask(program, text)
    numbers = sorted(float(v) for v in r['alone'])
    check('360 px without sideways scrolling', r['width'] <= 360, r['width'])
    check('no name becomes markup', r['hacked'] == 'undefinedundefined', r['hacked'])
    check('nothing is requested', not r['requests'], r['requests'])
    check('sorts by number', [float(v) for v in r['up']] == numbers and [float(v) for v in r['down']] == numbers[::-1],
          r['up'][:4])
    check('sorts by name', r['names'] == sorted(r['names']), r['names'][:4])
    check('sorts by key', r['order'] == sorted(r['order'], key=float) and r['sorted'] == 'ascending', r['sorted'])
    check('a link opens its layer', r['opened'], r)
    dark = ask(program, text, '--blink-settings=preferredColorScheme=0')
    check('light and dark', r['background'] == 'rgb(255, 255, 255)' and dark['background'] != r['background'],
          (r['background'], dark['background']))
    check('300 layers at 360 px', ask(program, wide)['width'] <= 360, '')
    page, pdf = f'{OUT}/r.html', f'{OUT}/r.pdf'
    chromium(program, '--no-pdf-header-footer', f'--print-to-pdf={pdf}', f'file://{page}')
    with open(pdf, 'rb') as f:
        check('prints', f.read(5) == b'%PDF-' and os.path.getsize(pdf) > 10000, '')


def main():
    model = f'{OUT}/hostile<b>.onnx'
    net(model, 12, HOSTILE)
    text, analysis = report(model, f'{OUT}/r.html')
    structure(text, analysis)
    os.makedirs(f'{OUT}/elsewhere')
    shutil.copy(model, f'{OUT}/elsewhere')
    again, _ = report(f'{OUT}/elsewhere/{os.path.basename(model)}', f'{OUT}/elsewhere/page.html')
    check('the same bytes elsewhere', again == text, '')
    net(f'{OUT}/wide.onnx', 267, 'backbone/stage/block/conv_')
    wide, analysis = report(f'{OUT}/wide.onnx', f'{OUT}/wide.html')
    check('300 layers in less than 1 MB', len(analysis['layers']) >= 300 and len(wide) < 1 << 20,
          f'{len(analysis["layers"])} layers, {len(wide)} bytes')
    program = browser()
    if not program:
        skip('browser', 'there is no chromium, and it could not be installed')
        return
    try:
        shown(program, text, wide)
    except Exception as error:
        fail('browser', f'{type(error).__name__}: {error}')


main()
raise SystemExit(judge.failed > 0)
