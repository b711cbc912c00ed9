# nginx -t: every wrong configuration is refused with a message that names the
# directive and the reason, and every good one is accepted.

use FindBin;
use lib "$FindBin::Bin/lib";
use Ticket::Test;
use Ticket::Nginx;

my $nginx = Ticket::Nginx->new(start => 0, http => '');
my $dir   = temp_dir();

# Makes a file of the given mode, and returns its path.
sub file {
    my ($name, $content, $mode) = @_;
    my $path = "$dir/$name";
    open my $fh, '>', $path or die "$path: $!\n";
    print {$fh} $content;
    close $fh or die "$path: $!\n";
    chmod $mode // 0600, $path or die "$path: $!\n";
    return $path;
}

my $secret = join '', map { sprintf '%02x', ($_ * 37 + 11) % 256 } 1 .. 32;
my $keys   = file('good.keys', "1 $secret\n");

# The parts of a good configuration; a case replaces some of them.
my %good = (
    redis    => "ticket_redis unix:$dir/redis.sock;",
    zone     => 'ticket_zone rooms:1m;',
    keys     => "ticket_keys $keys;",
    room     => 'ticket_room concert { slots 3; }',
    http     => '',
    server   => '',
    location => 'ticket_queue concert;',
);

sub conf {
    my (%part) = (%good, @_);
    return join "\n", @part{qw(redis zone keys room http)},
        "server { listen unix:%%SOCK%%; $part{server} location / { $part{location} } }";
}

sub accepted {
    my ($name, @parts) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my ($status, $err) = $nginx->test_conf(conf(@parts));
    ok $status == 0, "accepted: $name" or diag $err;
    return;
}

# Refused with one message of level emerg that has all the words, and that
# never shows a secret.
sub refused {
    my ($name, $words, @parts) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my ($status, $err) = $nginx->test_conf(conf(@parts));
    my @emerg = grep { /\[emerg\]/ } split /\n/, $err;
    my $said = grep {
        my $line = $_;
        !grep { index($line, $_) < 0 } @$words;
    } @emerg;
    ok $status == 1 && $said, "refused: $name"
        or diag "status $status, wanted @$words\n$err";
    unlike $err, qr/\Q@{[substr $secret, 0, 8]}\E|hunter2/, "no secret: $name";
    return;
}

subtest 'what is needed' => sub {
    accepted('all of it');
    accepted('a server without a room, and no other directive',
        redis => '', zone => '', keys => '', room => '', location => 'return 204;');
    accepted('rooms that nobody uses need nothing else',
        redis => '', zone => '', keys => '', location => 'return 204;');
    for my $part (qw(redis zone keys)) {
        refused("no ticket_$part", ["\"ticket_$part\" is missing at the http level"], $part => '');
        refused("no ticket_$part for a gate", ["\"ticket_$part\" is missing"], $part => '',
            location => 'ticket_gate concert;');
        refused("no ticket_$part for metrics", ["\"ticket_$part\" is missing"], $part => '',
            location => 'ticket_metrics;');
    }
    refused('no ticket_room', ['"ticket_queue concert" refers to room "concert"', 'no "ticket_room" defines'],
        room => '');
};

subtest 'ticket_redis' => sub {
    my $password = file('password', "hunter2 \n");
    my $redis = sub { return (redis => "ticket_redis @_;") };
    accepted("address $_", $redis->($_)) for '127.0.0.1', '127.0.0.1:7000', 'localhost', '[::1]', '[::1]:6380',
        "unix:$dir/a.sock";
    accepted('all parameters', $redis->("127.0.0.1:6379 user=web password_file=$password db=3 timeout=500ms"));
    accepted('a password file beside nginx.conf', $redis->('127.0.0.1 password_file=password'));
    accepted("timeout=$_", $redis->("127.0.0.1 timeout=$_")) for qw(100ms 1s 60s 1m);
    accepted("db=$_", $redis->("127.0.0.1 db=$_")) for 0, 15;

    accepted("$_", $redis->($_)) for 'sentinel=line 127.0.0.1', 'cluster 127.0.0.1:7000 [::1]:7001',
        "sentinel=line 127.0.0.1 127.0.0.1:26380 user=web password_file=$password db=1 timeout=1s sentinel_user=watch "
        . "sentinel_password_file=$password", "cluster 127.0.0.1 user=web password_file=$password timeout=1s";
    refused("$_", ['"ticket_redis"', 'takes an address, or "sentinel=name" or "cluster" and one or more addresses'],
        $redis->($_)) for 'cluster', 'sentinel=line', 'cluster timeout=1s';
    refused("$_->[0]", ['"ticket_redis"', "invalid parameter \"$_->[1]\"", 'db= (not in a cluster)'], $redis->($_->[0]))
        for ['cluster 127.0.0.1 db=1', 'db=1'], ['127.0.0.1 sentinel_user=a', 'sentinel_user=a'],
        ['cluster 127.0.0.1 sentinel_user=a', 'sentinel_user=a'], ['127.0.0.1 127.0.0.2', '127.0.0.2'],
        ['sentinel=line 127.0.0.1 sentinel_db=1', 'sentinel_db=1'];
    refused('too many', ['too many addresses in "ticket_redis": at most 16'], $redis->('cluster ' . '127.0.0.1 ' x 17));
    refused('an address', ['invalid address "127.0.0.1:x" in "ticket_redis"'], $redis->('cluster 127.0.0.1 127.0.0.1:x'));

    refused('twice', ['"ticket_redis" directive is duplicate'], $redis->('127.0.0.1; ticket_redis 127.0.0.1'));
    refused('no address', ['invalid number of arguments in "ticket_redis"'], redis => 'ticket_redis;');
    for my $address ('nobody.invalid', '127.0.0.1:0', '127.0.0.1:65536', '127.0.0.1:x', '[::1', 'unix:', '""',
        'unix:/' . 'x' x 200)
    {
        refused("address " . substr($address, 0, 20), ['"ticket_redis"', 'invalid address'], $redis->($address));
    }
    refused("$_", ['"ticket_redis"', "invalid parameter \"$_\"", 'timeout= (100ms to 60s)'], $redis->("127.0.0.1 $_"))
        for qw(timeout=99ms timeout=61s timeout= timeout=-1 timeout=x timeout db=-1 db=x db= db=1000001 nonsense=1 User=x);
    refused('password file that is not there', ['"ticket_redis"', "\"$dir/none\"", 'No such file'],
        $redis->("127.0.0.1 password_file=$dir/none"));
    mkdir "$dir/folder";
    my %bad = (
        empty => file('empty', ''), 'blank first line' => file('blank', "\nhunter2\n"),
        'too long' => file('long', 'hunter2' x 100), 'a directory' => "$dir/folder",
        'readable by everybody' => file('open', "hunter2\n", 0604),
    );
    refused("password file: $_", ['"ticket_redis"', "\"$bad{$_}\"", 'must hold a password', 'not be readable by everybody'],
        $redis->("127.0.0.1 password_file=$bad{$_}")) for sort keys %bad;
    refused('in a server', ['"ticket_redis" directive is not allowed here'], server => 'ticket_redis 127.0.0.1;');
};

subtest 'ticket_zone' => sub {
    my $zone = sub { return (zone => "ticket_zone @_;") };
    accepted("$_", $zone->($_)) for 'rooms:128k', 'rooms:1m', 'rooms:1m interval=50ms', 'rooms:1m interval=1s',
        'rooms:1m node=a', 'rooms:1m interval=500ms node=web-1.example', 'rooms:1m node=' . 'x' x 123;
    refused('twice', ['"ticket_zone" directive is duplicate'], $zone->('a:1m; ticket_zone b:1m'));
    refused('nothing', ['invalid number of arguments in "ticket_zone"'], zone => 'ticket_zone;');
    refused('too much', ['invalid number of arguments in "ticket_zone"'], $zone->('a:1m node=a interval=1s x=1'));
    refused("$_", ['"ticket_zone"', "invalid zone \"$_\"", 'name:size'], $zone->($_))
        for qw(rooms rooms: :1m rooms:x rooms:-1m rooms:127k rooms:0 rooms:1m:2);
    refused("$_", ['"ticket_zone"', "invalid parameter \"$_\"", '50ms to 1s'], $zone->("rooms:1m $_"))
        for qw(interval=49ms interval=1001ms interval=0 interval= interval=x interval=-5 node= nodes=a x);
    refused('a node name that is too long', ['"ticket_zone"', 'invalid parameter "node=xxx'],
        $zone->('rooms:1m node=' . 'x' x 124));
    refused('the zone of another module', ['"rooms"', 'different use'],
        http => 'limit_req_zone $uri zone=rooms:1m rate=1r/s;');
    refused('in a server', ['"ticket_zone" directive is not allowed here'], server => 'ticket_zone a:1m;');
};

subtest 'ticket_keys' => sub {
    accepted('a file beside nginx.conf', keys => 'ticket_keys good.keys;');
    accepted('two keys', keys => 'ticket_keys ' . file('two', "2 $secret\n1 $secret$secret\n") . ';');
    refused('twice', ['"ticket_keys" directive is duplicate'], keys => "ticket_keys $keys; ticket_keys $keys;");
    refused('nothing', ['invalid number of arguments in "ticket_keys"'], keys => 'ticket_keys;');
    refused('two files', ['invalid number of arguments in "ticket_keys"'], keys => "ticket_keys $keys $keys;");
    refused('in a server', ['"ticket_keys" directive is not allowed here'], server => "ticket_keys $keys;");
    my %bad = (
        'not there'             => ["$dir/none", 'No such file'],
        'a directory'           => [$dir, 'not a regular file'],
        'readable by everybody' => [file('world', "1 $secret\n", 0644), 'everybody may read it'],
        'empty'                 => [file('nothing', ''), 'holds no key'],
        'no id'                 => [file('bare', "$secret\n"), 'line 1: a key id is a number'],
        'bad secret'            => [file('short', "# x\n1 ${secret}z\n"), 'line 2: after the id comes one secret'],
        'id twice'              => [file('twice', "1 $secret\n1 $secret\n"), 'line 2: key id 1 appears twice'],
    );
    refused($_, ['"ticket_keys" cannot use', "\"$bad{$_}[0]\"", $bad{$_}[1]], keys => "ticket_keys $bad{$_}[0];")
        for sort keys %bad;
};

subtest 'ticket_room' => sub {
    my $room = sub { return (room => "ticket_room concert { @_ }") };
    accepted('every setting', $room->('slots 1000; rate 300 10s; session 10m; claim 2m; liveness 2m;'));
    accepted('none', $room->(''));
    accepted('at the lower bounds', $room->('slots 1; rate 1 100ms; session 1s; claim 1s; liveness 1s;'));
    accepted('at the upper bounds', $room->('slots 10000000; rate 10000000 1d; session 1d; claim 1h; liveness 1h;'));
    accepted("name $_", room => "ticket_room concert { } ticket_room $_ { }") for 'a', 'A.b_c-9', 'x' x 64;

    refused('twice', ['"ticket_room" "concert" is defined twice'], room => 'ticket_room concert { } ticket_room concert { }');
    refused('no name', ['invalid number of arguments in "ticket_room"'], room => 'ticket_room { }');
    refused('no block', ['"ticket_room" has no opening "{"'], room => 'ticket_room concert;');
    refused('two names', ['invalid number of arguments in "ticket_room"'], room => 'ticket_room a b { }');
    refused("name $_", ['"ticket_room"', 'invalid name', 'letters, digits'], room => "ticket_room \"$_\" { }")
        for '', 'a:b', 'a b', 'a/b', 'a~b', "\xc3\xa9", '$a', 'x' x 65;
    refused('in a server', ['"ticket_room" directive is not allowed here'], server => 'ticket_room x { }');

    my %range = (
        slots    => ['number from 1 to 10000000', qw(0 -1 10000001 1.5 x 1k 99999999999999999999)],
        session  => ['time from 1000 to 86400000 milliseconds', qw(0 999ms 86401s 2d x -1)],
        claim    => ['time from 1000 to 3600000 milliseconds', qw(0 999ms 61m x -1)],
        liveness => ['time from 1000 to 3600000 milliseconds', qw(0 999ms 61m x -1)],
    );
    for my $setting (sort keys %range) {
        my ($what, @values) = @{$range{$setting}};
        refused("$setting $_", ["\"$setting\" in \"ticket_room\" takes one $what"], $room->("$setting $_;"))
            for @values, '', '5s 5s';
        refused("$setting twice", ["\"$setting\" is set twice in \"ticket_room\""], $room->("$setting 5; $setting 5;"))
            if $setting eq 'slots';
        refused("$setting twice", ["\"$setting\" is set twice in \"ticket_room\""], $room->("$setting 5s; $setting 5s;"))
            if $setting ne 'slots';
    }
    refused("rate $_", ['"rate" in "ticket_room" takes a number from 1 to 10000000 and a time from 100ms to 1d'],
        $room->("rate $_;")) for '', '5', '0 1s', '-1 1s', '10000001 1s', 'x 1s', '5 99ms', '5 25h', '5 x', '5 1s 2s', '5 0';
    refused('rate twice', ['"rate" is set twice in "ticket_room"'], $room->('rate 5 1s; rate 5 1s;'));
    accepted("session $_", $room->("session $_;")) for '10m renew=on max=30m', '10m renew=on max=10m', '10m renew=off';
    refused("session $_", ['"session" in "ticket_room" takes one time', 'renew=on max=time'], $room->("session $_;"))
        for '10m renew=on', '10m max=30m', '10m renew=on max=9m', '10m renew=on max=25h', '10m renew=yes', '10m renew=off max=30m',
        'renew=on max=30m';
    accepted("mode $_", $room->("mode $_;")) for qw(fifo passthrough reject);
    refused("mode $_", ['"mode" in "ticket_room" takes fifo, passthrough or reject'], $room->("mode $_;"))
        for '', 'FIFO', 'random', '1', 'fifo reject';
    for my $flag (qw(paused queue_all)) {
        accepted("$flag $_", $room->("$flag $_;")) for qw(on off);
        refused("$flag $_", ["\"$flag\" in \"ticket_room\" takes on or off"], $room->("$flag $_;")) for '', 'yes', '1', 'on on';
    }
    accepted("admit_per_seat $_", $room->("admit_per_seat $_;")) for qw(0.001 1 1.5 1000);
    refused("admit_per_seat $_", ['"admit_per_seat" in "ticket_room" takes one number from 0.001 to 1000'],
        $room->("admit_per_seat $_;")) for '', '0', '1000.001', '-1', 'x', '1 2';
    accepted("early_polls $_", $room->("early_polls $_;")) for qw(refuse allow);
    refused("early_polls $_", ['"early_polls" in "ticket_room" takes refuse or allow'], $room->("early_polls $_;")) for '', 'on';

    accepted($_, $room->($_)) for 'opens 2026-12-01T10:00:00+09:00;', 'opens 2026-12-01T10:00:00Z; closes 2026-12-02T10:00:00Z;',
        'opens "2026-12-01 10:00"; prequeue "2026-12-01 09:30"; timezone Asia/Seoul;',
        'timezone Europe/Berlin; prequeue "2026-12-01 09:30"; opens "2026-12-01 10:00"; closes "2026-12-03 10:00"; draw on;';
    refused('a date without a time zone', ['"ticket_room" "concert" cannot use the date "2026-12-01 10:00"'],
        $room->('opens "2026-12-01 10:00";'));
    refused('an unknown time zone', ['cannot use the date', 'Asia/Soul'], $room->('timezone Asia/Soul; opens "2026-12-01 10:00";'));
    refused('a local time that does not exist', ['cannot use the date'],
        $room->('timezone Europe/Berlin; opens "2027-03-28 02:30";'));
    refused("opens $_", ['"opens" in "ticket_room" takes one date'], $room->("opens $_;")) for '', '2026-12-01 10:00';
    refused("date $_", ['cannot use the date'], $room->("opens $_;"))
        for qw(tomorrow 2026-13-01T10:00:00Z 2026-12-01T25:00:00Z 2026-12-01 1764583200 1960-01-01T00:00:00Z);
    refused('a prequeue without an opening', ['"prequeue" in "ticket_room" needs "opens" with a later time'],
        $room->('prequeue 2026-12-01T10:00:00Z;'));
    refused('a prequeue after the opening', ['"prequeue" in "ticket_room" needs "opens" with a later time'],
        $room->('prequeue 2026-12-01T10:00:00Z; opens 2026-12-01T10:00:00Z;'));
    refused('a close before the opening', ['"closes" in "ticket_room" must be later than "opens"'],
        $room->('opens 2026-12-01T10:00:00Z; closes 2026-12-01T09:00:00Z;'));
    refused('a draw without a prequeue', ['"draw" in "ticket_room" needs "prequeue" and "opens"'],
        $room->('draw on; opens 2026-12-01T10:00:00Z;'));
    refused("$_ twice", ["\"$_\" is set twice in \"ticket_room\""], $room->("$_; $_;" =~ s/(\w+)/$1 off/gr)) for qw(paused queue_all);
    refused("setting $_", ['unknown setting', 'slots, rate, session, claim, liveness, mode'], $room->("$_ 5;"))
        for qw(slot Slots renew);
    refused('a block within', ['unexpected "{"'], $room->('slots { 5; }'));
    refused('no end', ['unexpected "{"'], room => 'ticket_room concert { slots 5;');
};

subtest 'ticket_queue' => sub {
    my $queue = sub { return (location => "ticket_queue @_;") };
    accepted("$_", $queue->($_)) for 'concert', 'concert:a', 'concert:$arg_show', '$arg_room', '${arg_room}x';
    refused('twice', ['"ticket_queue" directive is duplicate'], $queue->('concert; ticket_queue concert'));
    refused('nothing', ['invalid number of arguments in "ticket_queue"'], location => 'ticket_queue;');
    refused('too much', ['invalid number of arguments in "ticket_queue"'], $queue->('concert check=local'));
    refused("room $_", ["\"ticket_queue $_\" refers to room", 'no "ticket_room" defines'], $queue->($_))
        for qw(conzert Concert concertx conzert:a conzert:$arg_x);
    refused("value $_", ["\"ticket_queue $_\"", 'invalid value after the ":"'], $queue->($_))
        for 'concert:', 'concert:a:b', 'concert:a/b', 'concert:' . 'x' x 65;
    refused('an unknown variable', ['unknown "nonesuch" variable'], $queue->('concert:$nonesuch'));
    refused('in a server', ['"ticket_queue" directive is not allowed here'], server => 'ticket_queue concert;');
    refused('at the http level', ['"ticket_queue" directive is not allowed here'], http => 'ticket_queue concert;');
    refused('in an if', ['"ticket_queue" directive is not allowed here'], location => 'if ($arg_a) { ticket_queue concert; }');
};

subtest 'ticket_gate' => sub {
    my $gate = sub { return (location => "ticket_gate @_;") };
    accepted("$_", $gate->($_)) for 'concert', 'concert:$arg_show', 'off', 'concert queue=/queue page=/wait.html',
        'concert queue=/q?show=$arg_show page=/$uri.html status=503 check=local', 'concert check=redis';
    accepted("status=$_", $gate->("concert status=$_")) for 200, 202, 429, 503;
    accepted('in a server', server => 'ticket_gate concert;');
    accepted('switched off within', server => 'ticket_gate concert;', location => 'ticket_gate off;');
    accepted('with a queue location within', server => 'ticket_gate concert;');
    refused('twice', ['"ticket_gate" directive is duplicate'], $gate->('concert; ticket_gate concert'));
    refused('off and on', ['"ticket_gate" directive is duplicate'], $gate->('off; ticket_gate concert'));
    refused('nothing', ['invalid number of arguments in "ticket_gate"'], location => 'ticket_gate;');
    refused("room $_", ["\"ticket_gate $_\" refers to room", 'no "ticket_room" defines'], $gate->($_))
        for qw(conzert conzert:$arg_x on queue=/queue);
    refused("$_", ['"ticket_gate"', "invalid parameter \"$_\"", 'status=200, 202, 429 or 503'], $gate->("concert $_"))
        for qw(status=201 status=404 status= status=x status=0200x queue= queue=queue queue=http://x/ page= page=x.html
        check= check=none check=Redis checks=local nonsense off);
    refused('an unknown variable', ['unknown "nonesuch" variable'], $gate->("concert $_"))
        for 'page=/$nonesuch', 'queue=/$nonesuch';
    refused('at the http level', ['"ticket_gate" directive is not allowed here'], http => 'ticket_gate concert;');
    refused('in an if', ['"ticket_gate" directive is not allowed here'], location => 'if ($arg_a) { ticket_gate concert; }');
};

subtest 'ticket_status' => sub {
    accepted('in a location', location => 'ticket_status;');
    refused('with an argument', ['invalid number of arguments in "ticket_status"'], location => 'ticket_status on;');
    refused('in a server', ['"ticket_status" directive is not allowed here'], server => 'ticket_status;');
};

subtest 'ticket_metrics' => sub {
    accepted('in a location', location => 'ticket_metrics;');
    refused('with an argument', ['invalid number of arguments in "ticket_metrics"'], location => 'ticket_metrics on;');
    refused('in a server', ['"ticket_metrics" directive is not allowed here'], server => 'ticket_metrics;');
};

subtest 'ticket_cookie_secure' => sub {
    for my $value (qw(on off auto)) {
        accepted("$value in a location", location => "ticket_queue concert; ticket_cookie_secure $value;");
        accepted("$value at all levels", http => "ticket_cookie_secure $value;", server => 'ticket_cookie_secure auto;');
    }
    refused('nothing', ['invalid number of arguments in "ticket_cookie_secure"'], http => 'ticket_cookie_secure;');
    refused('twice', ['"ticket_cookie_secure" directive is duplicate'],
        http => 'ticket_cookie_secure on; ticket_cookie_secure on;');
    refused("$_", ['"ticket_cookie_secure" directive takes on, off or auto'], http => "ticket_cookie_secure $_;")
        for qw(yes 1 onn), '""';
};

subtest 'unknown directives' => sub {
    refused($_, ["unknown directive \"$_\""], http => "$_ 1;") for qw(ticket_rooms ticket_limit);
};

done_testing;
