// Judges docs/openapi.yaml and what was said over HTTP by it, for t/openapi.t.
//
//   validate.mjs FILE            the document alone
//   validate.mjs FILE EXCHANGES  and exchanges: a file of JSON, one a line
//
// An exchange has method, path, request {headers, body}, status, headers (a
// list of names and values) and body, texts as bytes in Latin-1; and
// mutant: true if the document must not allow the request.  Or it is
// {event, data}: an event of the stream, data by the schema of that name.
//
// Prints JSON: document, with all $ref to objects other than schemas
// followed; problems, a list of texts; seen, how often each documented
// answer came, by "OPERATION STATUS" and the problem's code or media type.

import { readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { Validator } from '@seriousme/openapi-schema-validator';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { parse } from 'yaml';

const METHODS = ['get', 'post', 'put', 'patch', 'delete'];
const PROBLEM = 'application/problem+json';

// Headers of HTTP itself, which any answer may have.
const TRANSPORT = ['date', 'content-length', 'transfer-encoding', 'connection', 'content-type'];

const [file, exchanges] = process.argv.slice(2);
const text = readFileSync(file, 'utf8');
const problems = [];
const seen = {};

// What a $ref within the document is about.
function resolve(node) {
    while (node?.$ref) {
        node = node.$ref.slice(2).split('/')
            .reduce((at, step) => at?.[step.replaceAll('~1', '/').replaceAll('~0', '~')], document);
    }
    return node;
}

// Follows references everywhere but in schemas, where they may be recursive.
function follow(node, name) {
    if (name === 'schema' || node === null || typeof node !== 'object') {
        return node;
    }
    node = resolve(node);
    if (Array.isArray(node)) {
        return node.map((part) => follow(part));
    }
    return Object.fromEntries(Object.entries(node).map(([key, part]) => [key, follow(part, key)]));
}

const document = parse(text);
const found = await new Validator().validate(structuredClone(document));
if (!found.valid) {
    problems.push(`the document: ${JSON.stringify(found.errors)}`);
}
const paths = follow(document.paths);
const responses = follow(document.components.responses);

const ajv = new Ajv2020({ strict: true, strictTypes: false, strictRequired: false, allErrors: true });
addFormats.default(ajv);

// A schema by itself; what it refers to is in the one of all schemas.
function detached(schema) {
    return JSON.parse(JSON.stringify(schema),
        (key, value) => key === '$ref' ? value.replace('#/components/schemas', 'all#/$defs') : value);
}

ajv.addSchema({ $id: 'all', $defs: detached(document.components.schemas) });

const compiled = new Map();

// Says what is wrong with the value; '' if nothing is.
function judge(schema, value) {
    if (!compiled.has(schema)) {
        compiled.set(schema, ajv.compile(detached(schema)));
    }
    const validate = compiled.get(schema);
    return validate(value) ? '' : ajv.errorsText(validate.errors, { separator: '; ' });
}

// The codes that a schema of problems allows.
function codesOf(schema) {
    schema = resolve(schema);
    const code = schema.properties?.code ?? {};
    return [...('const' in code ? [code.const] : code.enum ?? []),
        ...[schema.allOf, schema.oneOf, schema.anyOf].flatMap((list) => (list ?? []).flatMap(codesOf))];
}

// A header is text; its schema may want a number.
function headerValue(schema, value) {
    return resolve(schema).type === 'integer' && /^\d+$/.test(value) ? Number(value) : value;
}

// The operations, each with its responses, the parameters of its path and its
// own, and the pattern of its path.
const operations = Object.entries(paths).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method]).map((method) => ({
        ...item[method],
        method: method.toUpperCase(),
        path,
        pattern: patternOf(path),
        fixed: path.replace(/\{.*?\}/g, '').length,
        parameters: [...item.parameters ?? [], ...item[method].parameters ?? []],
    })));
const others = {
    address: { operationId: 'OtherAddress', responses: { 404: responses.OtherAddress }, parameters: [] },
    method: { operationId: 'OtherMethod', responses: { 405: responses.OtherMethod }, parameters: [] },
};

function patternOf(path) {
    return new RegExp(`^${path.replace(/\{(.*?)\}/g, '(?<$1>[^/]+)')}$`);
}

// What an exchange is of: of several paths the one with the most fixed text.
function operationOf({ method, path }) {
    const here = operations.filter((operation) => operation.pattern.test(path));
    const wanted = method === 'HEAD' ? 'GET' : method;
    const [operation] = here.filter((one) => one.method === wanted).sort((a, b) => b.fixed - a.fixed);
    return operation ?? (here.length > 0 ? others.method : others.address);
}

function checkExamples(operation) {
    for (const parameter of operation.parameters) {
        if ('example' in parameter) {
            report(`${operation.operationId}: the example of ${parameter.name}`, judge(parameter.schema, parameter.example));
        } else {
            judge(parameter.schema, '');
        }
    }
    for (const media of Object.values(operation.requestBody?.content ?? {})) {
        if (!media.examples) {
            problems.push(`${operation.operationId}: no example of the request`);
        }
        for (const [name, example] of Object.entries(media.examples ?? {})) {
            report(`${operation.operationId}: the example ${name}`, judge(media.schema, example.value));
        }
    }
}

function report(about, wrong) {
    if (wrong) {
        problems.push(`${about}: ${wrong}`);
    }
}

// Every answer that the operation may have, none of them seen as yet.
function expectAnswers(operation) {
    for (const [status, response] of Object.entries(operation.responses)) {
        for (const [type, media] of Object.entries(response.content ?? { '': {} })) {
            const codes = type === PROBLEM ? codesOf(media.schema) : [type];
            if (codes.length === 0) {
                problems.push(`${operation.operationId} ${status}: a problem without codes`);
            }
            codes.forEach((code) => { seen[`${operation.operationId} ${status} ${code}`.trim()] = 0; });
        }
    }
}

const latin1 = (bytes) => Buffer.from(bytes ?? '', 'latin1').toString('utf8');

function headersOf(list) {
    return new Map(list.map(([name, value]) => [name.toLowerCase(), value]));
}

// The request as the document has it; '' if it allows it.
function judgeRequest(operation, { path, request }) {
    const headers = headersOf(request.headers);
    const values = operation.pattern?.exec(path)?.groups ?? {};
    const wrong = operation.parameters.map((parameter) => {
        const value = parameter.in === 'path' ? values[parameter.name] : headers.get(parameter.name.toLowerCase());
        if (value === undefined) {
            return parameter.required ? `${parameter.name} is missing` : '';
        }
        const why = judge(parameter.schema, headerValue(parameter.schema, value));
        return why && `${parameter.name}: ${why}`;
    });
    wrong.push(judgeRequestBody(operation, headers.get('content-type'), latin1(request.body)));
    return wrong.filter(Boolean).join('; ');
}

function judgeRequestBody(operation, type, body) {
    if (!operation.requestBody) {
        return '';
    }
    const media = operation.requestBody.content[type];
    if (!media) {
        return `a body of type ${type}`;
    }
    const value = type === 'application/json' ? JSON.parse(body) : body;
    for (const example of Object.values(media.examples)) {
        example.sent ||= isDeepStrictEqual(example.value, value);
    }
    return judge(media.schema, value);
}

function judgeHeaders(documented, headers, isHead) {
    const known = new Map(Object.entries(documented ?? {}).map(([name, header]) => [name.toLowerCase(), header]));
    const wrong = [...headers].filter(([name]) => !TRANSPORT.includes(name)).map(([name, value]) => {
        const header = known.get(name);
        const why = header ? judge(header.schema, headerValue(header.schema, value)) : 'is not documented';
        return why && `header ${name}: ${why}`;
    });
    for (const [name, header] of known) {
        if (header.required && !headers.has(name) && !isHead) {
            wrong.push(`header ${name} is missing`);
        }
    }
    return wrong;
}

// What is wrong with the answer, and by what it is counted.
function judgeAnswer(operation, { method, status, headers: list, body }) {
    const response = operation.responses[status];
    if (!response) {
        return { wrong: [`status ${status} is not documented`] };
    }
    const headers = headersOf(list);
    const wrong = judgeHeaders(response.headers, headers, method === 'HEAD');
    const type = headers.get('content-type') ?? '';
    const name = `${operation.operationId} ${status}`;
    if (method === 'HEAD' || !response.content) {
        if (body !== '') {
            wrong.push('a body where there is none');
        }
        return { wrong, name: method === 'HEAD' ? '' : name };
    }
    const media = response.content[type];
    if (!media) {
        return { wrong: [...wrong, `type ${type} is not documented`] };
    }
    const value = /json$/.test(type) ? JSON.parse(latin1(body)) : latin1(body);
    wrong.push(judge(media.schema, value));
    if (type === PROBLEM && value.status !== status) {
        wrong.push(`the problem's status is ${value.status}`);
    }
    return { wrong, name: `${name} ${type === PROBLEM ? value.code : type}` };
}

function checkExchange(exchange) {
    const operation = operationOf(exchange);
    const about = `${operation.operationId}: ${exchange.method} ${exchange.path}: ${exchange.status}`;
    const { wrong, name } = judgeAnswer(operation, exchange);
    report(about, wrong.filter(Boolean).join('; '));
    if (name) {
        seen[name] = (seen[name] ?? 0) + 1;
    }
    if (exchange.status < 400 && exchange.method !== 'HEAD') {
        report(`${about}, for a request that is none`, judgeRequest(operation, exchange));
    }
    if (exchange.mutant && !judgeRequest(operation, exchange)) {
        problems.push(`${about}: the document allows what the worker refuses: ${exchange.request.body}`);
    }
}

function checkEvent({ event, data }) {
    const schema = { seats: 'SeatsEvent', reset: 'ResetEvent' }[event];
    report(`event ${event}`, schema ? judge({ $ref: `#/components/schemas/${schema}` }, JSON.parse(data))
        : 'is not documented');
}

for (const name of Object.keys(document.components.schemas)) {
    ajv.compile({ $ref: `all#/$defs/${name}` });
}
operations.forEach(checkExamples);
[...operations, ...Object.values(others)].forEach(expectAnswers);

if (exchanges) {
    for (const line of readFileSync(exchanges, 'utf8').trimEnd().split('\n')) {
        const exchange = JSON.parse(line);
        if (exchange.event) {
            checkEvent(exchange);
        } else {
            checkExchange(exchange);
        }
    }
    for (const operation of operations) {
        for (const media of Object.values(operation.requestBody?.content ?? {})) {
            for (const [name, example] of Object.entries(media.examples)) {
                report(`${operation.operationId}: the example ${name}`, example.sent ? '' : 'was not sent with success');
            }
        }
    }
}

console.log(JSON.stringify({ document: { ...document, paths }, problems, seen }));
