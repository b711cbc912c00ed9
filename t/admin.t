# The location of ticket_admin: what it takes, what it refuses and by what
# name, who may ask, and that each change stands in the audit with its author.

use lib 't/lib';
use Ticket::Test;
use Ticket::Admin;
use Ticket::Http 'http_raw';
use Ticket::Line;
use Ticket::Redis;
use JSON::PP ();

my $redis = Ticket::Redis->new(dir => temp_dir());
my %extra = (extra => <<'CONF');
    location /write/ {
        ticket_admin who=op;
        limit_except GET { deny all; }
    }
    location /allow/ {
        ticket_admin who=op;
        limit_except GET { allow all; }
    }
    location /moved/ { rewrite ^ /x break; ticket_admin; }
    location /small/ { ticket_admin; client_body_buffer_size 1k; client_body_in_file_only clean; }
    location = /inside { ssi on; ssi_types *; root %%DIR%%; }
CONF
my $room = 'slots 2; rate 10 1s; session 60s; claim 20s; liveness 30s;';
my ($one, $two) = map { admin_node($redis, $room, name => $_, %extra) } qw(a b);

# Looking.
{
    is_deeply(admin($one, 'GET', '')->{json}, {rooms => ['show']}, 'the rooms of nginx.conf are listed');
    my $state = room($one);
    my %settings = (slots => 2, rate => 10, per_ms => 1000, mode => 'fifo',
                    paused => JSON::PP::false, queue_all => JSON::PP::false);
    is_deeply($state->{settings}, \%settings, 'settings as nginx.conf has them');
    is_deeply($state->{defaults}, \%settings, 'which are the defaults');
    is_deeply($state->{changed}, [], 'nothing is changed');
    is_deeply([@$state{qw(room phase issued called in_line calls sessions settling seats sold_out draw)}],
              ['show', 'open', 0, 0, 0, 0, 0, JSON::PP::false, undef, JSON::PP::false, undef], 'an empty room');
    like($state->{epoch}, qr/^[0-9]+$/, 'with an epoch');

    my @crowd = crowd($one, 5);
    $state = room($two);
    is_deeply([@$state{qw(issued in_line sessions sessions_total calls_total)}], [5, 3, 2, 2, 2],
              'the other node tells the same, fresh from Redis, at once');
    $redis->cmd('SET', 'ticket:{show}:stock', 7);
    is(room($one)->{seats}, 7, 'seats left');
    $redis->cmd('SET', 'ticket:{show}:stock', -2);
    is_deeply([@{room($one)}{qw(seats sold_out)}], [0, JSON::PP::true], 'sold out');
    $redis->cmd('DEL', 'ticket:{show}:stock');

    is($one->http('POST', '/q?show=blue')->{status}, 201, 'somebody joins an instance');
    is_deeply([sort @{admin($one, 'GET', '')->{json}{rooms}}], ['show', 'show:blue'], 'an instance is listed');
    is(room($two, 'show:green')->{issued}, 0, 'an instance that nobody has visited may be looked at');
    set($two, {slots => 9}, room => 'show:green');
    is(room($one, 'show:green')->{settings}{slots}, 9, 'and changed');
    is(room($one)->{settings}{slots}, 2, 'which leaves the others alone');

    eventually { ($one->http('GET', '/admin/show/5')->{json}{position} // 0) == 3 } 5, 'a number is looked up';
    my $number = admin($one, 'GET', 'show/5')->{json};
    is_deeply([@$number{qw(room number in_line)}], ['show', 5, JSON::PP::true], 'it stands in line');
    my $inside = admin($one, 'GET', 'show/1')->{json};
    is_deeply([@$inside{qw(in_line position)}], [JSON::PP::false, undef], 'one who is inside does not');
    is($inside->{events}[0]{what}, 'claimed', 'and has claimed');
    is(admin($one, 'GET', 'show/6')->{json}{code}, 'no_such_number', 'a number not issued');
    crowd($two, 1);
    $number = admin($one, 'GET', 'show/6')->{json};
    ok(!defined $number->{in_line} || $number->{in_line}, 'who has just come to another node is never told to be away');
    is(admin($one, 'HEAD', 'show')->{status}, 200, 'HEAD');
    is($one->http('GET', '/moved/show')->{json}{code}, 'not_found', 'an address that a rewrite has put elsewhere');
}

# Changing.
{
    my $state = set($one, {slots => 200, rate => 300, per_ms => 10000, mode => 'reject', paused => \1, queue_all => \1});
    my %all = (slots => 200, rate => 300, per_ms => 10000, mode => 'reject',
               paused => JSON::PP::true, queue_all => JSON::PP::true);
    is_deeply($state->{settings}, \%all, 'every setting is taken, and the new state told');
    is_deeply($state->{changed}, [qw(slots rate per_ms mode paused queue_all)], 'and which were changed');
    is_deeply(room($two)->{settings}, \%all, 'the other node tells it at once');
    is($state->{defaults}{slots}, 2, 'nginx.conf still says 2');

    $state = set($two, {slots => 0, rate => undef, mode => undef});
    is($state->{settings}{slots}, undef, '0 is no limit');
    is($state->{settings}{rate}, 10, 'null puts back what nginx.conf says');
    is_deeply($state->{changed}, [qw(slots per_ms paused queue_all)], 'and is no change any more');
    $state = set($one, {map { $_ => undef } qw(slots rate per_ms mode paused queue_all)});
    is_deeply($state->{settings}, $state->{defaults}, 'all of it put back');
    is_deeply($state->{changed}, [], 'nothing is changed');
}

# What is refused names the member, and nothing of it is done.
my $before = room($one);
my $json   = 'application/json';
my @bad = (
    ['slots below',         '{"slots":-1}',                    qr/^slots takes a whole number from 0 to 10000000/],
    ['slots above',         '{"slots":10000001}',              qr/^slots takes/],
    ['slots huge',          '{"slots":99999999999999999999999}', qr/^slots takes/],
    ['slots fraction',      '{"slots":1.0}',                   qr/^slots takes/],
    ['slots exponent',      '{"slots":1e3}',                   qr/^slots takes/],
    ['slots text',          '{"slots":"5"}',                   qr/^slots takes/],
    ['slots flag',          '{"slots":true}',                  qr/^slots takes/],
    ['slots nested',        '{"slots":{"a":1}}',               qr/^slots takes/],
    ['rate list',           '{"rate":[5]}',                    qr/^rate takes a whole number from 0 to 10000000/],
    ['per_ms below',        '{"per_ms":99}',                   qr/^per_ms takes a whole number from 100 to 86400000/],
    ['per_ms above',        '{"per_ms":86400001}',             qr/^per_ms takes/],
    ['mode unknown',        '{"mode":"lifo"}',                 qr/^mode takes "fifo", "passthrough", "reject"/],
    ['mode number',         '{"mode":1}',                      qr/^mode takes/],
    ['paused text',         '{"paused":"on"}',                 qr/^paused takes true, false/],
    ['paused number',       '{"paused":1}',                    qr/^paused takes/],
    ['queue_all number',    '{"queue_all":0}',                 qr/^queue_all takes/],
    ['good before bad',     '{"slots":7,"rate":-1}',           qr/^rate takes/],
    ['bad before good',     '{"rate":-1,"slots":7}',           qr/^rate takes/],
    ['unknown',             '{"slots":7,"session":5}',         qr/^session is no setting: there are slots, rate/],
    ['unknown, with quote', '{"a\\"\\u0007b":5}',              qr/^a"\x07b is no setting/],
    ['unknown, long',       '{"' . 'x' x 200 . '":5}',         qr/^A long name is no setting/],
    ['the script\'s name',  '{"per":1000}',                    qr/^per is no setting/],
    ['twice',               '{"slots":7,"slots":8}',           qr/^slots stands there twice/],
    ['nothing',             '{}',                              qr/names nothing to change/],
    ['empty',               '',                                qr/not JSON/],
    ['cut off',             '{"slots":7',                      qr/not JSON/],
    ['trailing',            '{"slots":7} x',                   qr/not JSON/],
    ['two objects',         '{"slots":7}{"rate":7}',           qr/not JSON/],
    ['comment',             '{"slots":7/**/}',                 qr/not JSON/],
    ['a list',              '[{"slots":7}]',                   qr/one JSON object/],
    ['a number',            '7',                               qr/one JSON object/],
    ['deep',                '{"slots":' . '[' x 1000,          qr/^slots takes/],
    ['deep from the start', '[' x 4000,                        qr/one JSON object/],
    ['no UTF-8',            "{\"\xff\":7}",                    qr/not JSON/],
    ['NUL',                 "{\"slots\":7}\0",                 qr/not JSON/],
);
for my $case (@bad) {
    my ($name, $body, $detail) = @$case;
    my $got = $one->http('PATCH', '/admin/show', {'Content-Type' => $json}, $body);
    is("$got->{status} " . ($got->{json}{code} // ''), '400 bad_request', "refused: $name");
    like($got->{json}{detail}, $detail, "$name: by its name");
}
my @commands = (
    ['no command',       '{"count":3}',                          qr/^command takes "reset", "call" or "revoke"/],
    ['unknown command',  '{"command":"close"}',                  qr/^command takes/],
    ['command null',     '{"command":null}',                     qr/^command takes/],
    ['empty',            '{}',                                   qr/^command takes/],
    ['call without',     '{"command":"call"}',                   qr/^count takes a whole number from 1 to 10000/],
    ['call 0',           '{"command":"call","count":0}',         qr/^count takes/],
    ['call too many',    '{"command":"call","count":10001}',     qr/^count takes/],
    ['call a number',    '{"command":"call","count":1,"number":1}', qr/^The command call does not take number/],
    ['reset with count', '{"command":"reset","count":1}',        qr/^The command reset does not take count/],
    ['revoke without',   '{"command":"revoke"}',                 qr/^number takes a whole number from 1 to 33554431/],
    ['revoke above',     '{"command":"revoke","number":33554432}', qr/^number takes/],
    ['a setting',        '{"command":"reset","slots":1}',        qr/^slots is no member of a command/],
);
for my $case (@commands) {
    my ($name, $body, $detail) = @$case;
    my $got = $one->http('POST', '/admin/show', {'Content-Type' => $json}, $body);
    is("$got->{status} " . ($got->{json}{code} // ''), '400 bad_request', "refused: $name");
    like($got->{json}{detail}, $detail, "$name: by its name");
}
my $none = admin($one, 'POST', 'show', {command => 'revoke', number => 600});
is("$none->{status} $none->{json}{code}", '404 no_such_number', 'a number that was not issued cannot be revoked');
{
    my $after = room($one);
    is_deeply([@$after{qw(epoch settings changed calls sessions)}],
              [@$before{qw(epoch settings changed calls sessions)}], 'nothing of all that was done');
}

# Other refusals.
{
    my @other = (
        ['no type',       405 => 'method_not_allowed', ['DELETE', '/admin/show']],
        ['PUT',           405 => 'method_not_allowed', ['PUT', '/admin/show', {'Content-Type' => $json}, '{}']],
        ['POST to all',   405 => 'method_not_allowed', ['POST', '/admin/', {'Content-Type' => $json}, '{}']],
        ['PATCH a number', 405 => 'method_not_allowed', ['PATCH', '/admin/show/1', {}, {slots => 1}]],
        ['POST the audit', 405 => 'method_not_allowed', ['POST', '/admin/show/audit', {}, {}]],
        ['a form',        415 => 'unsupported_media_type',
            ['POST', '/admin/show', {'Content-Type' => 'application/x-www-form-urlencoded'}, 'command=reset']],
        ['plain text',    415 => 'unsupported_media_type',
            ['POST', '/admin/show', {'Content-Type' => 'text/plain'}, '{"command":"reset"}']],
        ['no type',       415 => 'unsupported_media_type', ['POST', '/admin/show', {}, '{"command":"reset"}']],
        ['another json',  415 => 'unsupported_media_type',
            ['POST', '/admin/show', {'Content-Type' => 'application/json5'}, '{"command":"reset"}']],
        ['large',         413 => 'too_large',
            ['PATCH', '/admin/show', {'Content-Type' => $json}, '{"slots":1' . ' ' x 4086 . '}']],
        ['no such room',  404 => 'no_such_room', ['GET', '/admin/other']],
        ['bad instance',  404 => 'no_such_room', ['GET', '/admin/show:a%20b']],
        ['long instance', 404 => 'no_such_room', ['GET', '/admin/show:' . 'a' x 65]],
        ['empty name',    404 => 'no_such_room', ['GET', '/admin//1']],
        ['no number',     404 => 'not_found', ['GET', '/admin/show/x']],
        ['number 0',      404 => 'not_found', ['GET', '/admin/show/0']],
        ['slash',         404 => 'not_found', ['GET', '/admin/show/']],
        ['deeper',        404 => 'not_found', ['GET', '/admin/show/1/2']],
        ['count 0',       400 => 'bad_request', ['GET', '/admin/show/audit?count=0']],
        ['count 1001',    400 => 'bad_request', ['GET', '/admin/show/audit?count=1001']],
        ['count x',       400 => 'bad_request', ['GET', '/admin/show/audit?count=x']],
    );
    for my $case (@other) {
        my ($name, $status, $code, $request) = @$case;
        my $got = $one->http(@$request);
        is("$got->{status} " . ($got->{json}{code} // ''), "$status $code", "refused: $name");
    }
    is(admin($one, 'DELETE', 'show')->{headers}{allow}, 'GET, HEAD, PATCH, POST', 'Allow of a room');
    is(admin($one, 'PUT', '')->{headers}{allow}, 'GET, HEAD', 'Allow of the list');
    is($one->http('PATCH', '/admin/show', {'Content-Type' => 'Application/JSON; charset=utf-8'}, '{"slots":3}')->{status},
       200, 'the type may have parameters');
    is($one->http('PATCH', '/admin/show', {'Content-Type' => $json}, '{"slots":3' . ' ' x 4085 . '}')->{status},
       200, '4096 bytes are taken');

    my $head = "PATCH /small/show HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: $json\r\n"
        . "Transfer-Encoding: chunked\r\n\r\n";
    my $body = '{"slots":' . ' ' x 2000 . '4}';
    like(http_raw($one->target, $head . sprintf("%x\r\n%s\r\n0\r\n\r\n", length $body, $body)),
         qr/^HTTP\/1.1 200 .*"slots":4,/s, 'a chunked body is taken, also by way of a file');
    $body .= ' ' x 3000;
    like(http_raw($one->target, $head . sprintf("%x\r\n%s\r\n0\r\n\r\n", length $body, $body)),
         qr/^HTTP\/1.1 413 .*"too_large"/s, 'unless it is too large');
    set($one, {slots => undef});
}

# Who may.
{
    is($one->http('GET', '/write/show')->{status}, 200, 'limit_except: GET is allowed');
    is($one->http('PATCH', '/write/show', {}, {slots => 1})->{status}, 403, 'and PATCH denied');
    is($one->http('PATCH', '/allow/show', {}, {slots => 3})->{status}, 200, 'or allowed');
    is(admin($one, 'GET', 'show/audit?count=1')->{json}{changes}[0]{who}, 'op', 'and then known by the same name');
    set($one, {slots => undef});
    open my $fh, '>', temp_dir() . '/inside' or die "inside: $!\n";
    print {$fh} '<!--# include virtual="/admin/show" -->';
    close $fh or die "inside: $!\n";
    my $page = $one->http('GET', '/inside');
    unlike($page->{body}, qr/epoch/, 'a subrequest, for which nginx asks no "allow", is told nothing');
}

# The audit.
{
    my $reset = command($one, 'reset', who => 'first');
    eventually { room($one)->{settling} ? 0 : 1 } 5, 'settled after a reset';
    set($one, {slots => 5, paused => \1}, who => "J\x{c3}\x{bc}rgen \"x\" \x01\x7f\\");
    set($two, {slots => undef}, who => '');
    crowd($one, 4);
    command($two, 'call', count => 2, who => 'n' x 300);
    command($one, 'revoke', number => 1, who => "bad \xff\xfe");
    my @changes = reverse @{admin($two, 'GET', 'show/audit?count=5')->{json}{changes}};
    is_deeply([map { [@$_{qw(who what more)}] } @changes], [
        ['first', 'reset', "epoch $before->{epoch}"],
        ["J\x{fc}rgen \"x\" \\", 'set', 'slots=5 paused=1'],
        ['-', 'set', 'slots='],
        ['n' x 128, 'call', '2 of 2'],
        ['bad ??', 'revoke', 'number 1'],
    ], 'each change with who and what, in order');
    my @at = map { $_->{at_ms} } @changes;
    is_deeply(\@at, [sort { $a <=> $b } @at], 'and when');
    is(scalar @{admin($one, 'GET', 'show/audit?count=2')->{json}{changes}}, 2, 'as many as wanted');
    is(scalar @{admin($one, 'GET', 'show:none/audit')->{json}{changes}}, 0, 'none of a room that nobody has changed');

    # Two operators at once, through two nodes of two processes each.
    my %sent;
    my @at_once = map { $_ % 2 ? $one : $two } 1 .. 8;
    for my $i (0 .. 7) {
        my @requests = map {
            my $who = "w$i-$_";
            my %change = (slots => 100 + $_, rate => 100 + $_);
            $sent{$who} = "slots=$change{slots} rate=$change{rate}";
            {method => 'PATCH', path => '/admin/show', headers => {'X-Who' => $who}, body => \%change};
        } 1 .. 25;
        my $pid = fork() // die "fork: $!\n";
        if (!$pid) {
            my $bad = grep { $_->{status} != 200 || $_->{json}{settings}{slots} != $_->{json}{settings}{rate} }
                @{$at_once[$i]->http_many(\@requests, concurrency => 10)};
            POSIX::_exit($bad ? 1 : 0);
        }
        push @at_once, $pid;
    }
    my $failed = 0;
    for my $pid (@at_once[8 .. 15]) {
        waitpid $pid, 0;
        $failed++ if $?;
    }
    is($failed, 0, 'two hundred changes at once: each is whole in the state it answers');
    my @all = @{admin($one, 'GET', 'show/audit?count=200')->{json}{changes}};
    is_deeply({map { $_->{who} => $_->{more} } @all}, \%sent, 'none is lost');
    my $last = room($two)->{settings};
    is("slots=$last->{slots} rate=$last->{rate}", $all[0]{more}, 'the last of them is what holds');
}

# Without Redis.
{
    $redis->stop;
    for my $request (['GET', 'show'], ['PATCH', 'show', {slots => 1}], ['POST', 'show', {command => 'reset'}],
                     ['GET', 'show/1'], ['GET', 'show/audit']) {
        my $got = admin($one, @$request);
        is("$got->{status} " . ($got->{json}{code} // ''), '503 unavailable', "Redis away: $request->[0] $request->[1]");
        ok($got->{headers}{'retry-after'}, 'with Retry-After');
    }
    is(admin($one, 'GET', '')->{status}, 200, 'the list is the node\'s own');
}

# Configuration.
for my $case (
    ['location = /admin/ { ticket_admin; }',              qr/"ticket_admin" directive needs a location that is a prefix/],
    ['location ~ /admin/ { ticket_admin; }',              qr/needs a location that is a prefix/],
    ['location /admin { ticket_admin; }',                 qr/ends in "\/"/],
    ['location /admin/ { ticket_admin who; }',            qr/invalid parameter "who" in "ticket_admin": there is who=/],
    ['location /admin/ { ticket_admin who=; }',           qr/invalid parameter "who="/],
    ['location /admin/ { ticket_admin who=$nobody_; }',   qr/unknown "nobody_" variable/],
    ['location /admin/ { ticket_admin; ticket_admin; }',  qr/"ticket_admin" directive is duplicate/],
    ['location /admin/ { ticket_admin who=a x; }',        qr/invalid number of arguments in "ticket_admin"/],
) {
    my ($status, $err) = $one->test_conf(line_http($room, extra => $case->[0]));
    ok($status != 0, "refused: $case->[0]");
    like($err, $case->[1], 'with its reason');
}

done_testing;
