# scripts/ticketctl: every command against a room behind auth_basic, what it
# says when something is wrong, and its exit status.

use lib 't/lib';
use IO::Socket::INET;
use JSON::PP ();
use Ticket::Test;
use Ticket::Admin;
use Ticket::Line;
use Ticket::Redis;

my $probe = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1') or die "listen: $!\n";
my $port  = $probe->sockport;
close $probe;

my $dir = temp_dir();

sub file {
    my ($name, $text) = @_;
    open my $fh, '>', "$dir/$name" or die "$name: $!\n";
    print {$fh} $text;
    close $fh or die "$name: $!\n";
    return "$dir/$name";
}

my $users = file('users', "anna:{PLAIN}secret of anna\n");
chmod 0644, $users;
chmod 0755, $dir;
my $redis = Ticket::Redis->new(dir => $dir);
my $node  = admin_node($redis, 'slots 3; session 60s; claim 60s; liveness 30s;', extra => <<"CONF");
        listen 127.0.0.1:$port;
        location /operate/ { ticket_admin who=\$remote_user; auth_basic room; auth_basic_user_file $users; }
        location /shut/    { ticket_admin; deny all; }
CONF

my $good = file('good', "secret of anna\nmore\n");
my $bad  = file('bad', "guess\n");
my @url  = ('--url', "http://127.0.0.1:$port/operate");
my @name = (@url, '--user', 'anna', '--password-file', $good);

sub ctl {
    my (@words) = @_;
    local %ENV = %ENV;
    delete @ENV{qw(http_proxy HTTP_PROXY all_proxy ALL_PROXY TICKET_ADMIN_URL)};
    return run($^X, root_dir() . '/scripts/ticketctl', @words);
}

# Says all of this and ends well.
sub says {
    my ($name, $words, @patterns) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my ($status, $out, $err) = ctl(@name, @$words);
    is("$status$err", '0', $name);
    like($out, $_, "$name: $_") for @patterns;
    return $out;
}

# Ends with this status, and says why on stderr.
sub refused {
    my ($name, $status, $why, @words) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my ($got, $out, $err) = ctl(@words);
    is($got, $status, "refused: $name");
    like($err, $why, "$name: with its reason");
    unlike("$out$err", qr/secret of anna/, "$name: without a password");
    return;
}

says('list', ['list'], qr/^show$/m);
says('show', ['show', 'show'], qr/^room +show, open, epoch [0-9]+$/m, qr/^in line +0$/m, qr/^slots +3$/m, qr/^rate +none$/m,
     qr/^mode +fifo$/m, qr/^paused +off$/m, qr/^queue_all +off$/m);

my @crowd = crowd($node, 8);
says('set', [qw(set show slots=5 rate=300/10s paused=on mode=reject queue_all=on)],
     qr/^slots +5  \(nginx.conf: 3\)$/m, qr{^rate +300/10s  \(nginx.conf: none\)$}m, qr/^paused +on  \(nginx.conf: off\)$/m,
     qr/^mode +reject  \(nginx.conf: fifo\)$/m, qr/^queue_all +on /m, qr/^sessions +3, 3 of 5 slots taken$/m, qr/^in line +5$/m);
my $state = room($node)->{settings};
is_deeply([@$state{qw(slots rate per_ms mode)}], [5, 300, 10000, 'reject'], 'they are set');
says('set again', [qw(set show slots=none rate=20/500ms mode=default queue_all=off)],
     qr/^slots +none  \(nginx.conf: 3\)$/m, qr{^rate +20/500ms }m, qr/^mode +fifo$/m);
says('default', [qw(set show slots=default rate=default paused=on queue_all=default)],
     qr/^slots +3$/m, qr/^rate +none$/m, qr/^paused +on  \(nginx.conf: off\)$/m);
says('the number alone', [qw(set show rate=7)], qr{^rate +7/1s  \(nginx.conf: none\)$}m);
says('set slots', [qw(set show slots=5)], qr/^slots +5 /m);

my $number = room($node)->{called} + 1;
says('call', [qw(call show 1)], qr/^1 of 1 called$/);
says('call more', [qw(call show 100)], qr/^[01] of 100 called; [0-9]+ in line, 5 of 5 slots taken$/);
says('number', ['number', 'show', 8], qr/^number 8 of show: /);
eventually { (ctl(@name, 'number', 'show', 8))[1] =~ /in line, position 3$/m } 5, 'a number in line';
says('number called', ['number', 'show', $number], qr/^ +[0-9-]{10} [0-9:.]{12}  called$/m);
says('revoke', ['revoke', 'show', $number], qr/^$number revoked$/);
is(room($node)->{calls} + room($node)->{sessions}, 4, 'a slot is free');

my $audit = says('audit', ['audit', 'show'], qr/ anna +set +slots=5$/m,
     qr{ anna +set +slots=none rate=20 per=500ms mode=default queue_all=off$}m,
     qr/ anna +call +1 of 1$/m, qr/ anna +revoke +number $number$/m);
is((split /\n/, says('one', ['audit', 'show', 1]))[0], (split /\n/, $audit)[0], 'as many as wanted');

my ($status, $out) = ctl(@name, '--json', 'show', 'show');
is_deeply([$status, JSON::PP->new->utf8->decode($out)->{settings}{slots}], [0, 5], '--json is the server\'s own');

# Reset asks.
my $epoch = room($node)->{epoch};
refused('reset without a terminal', 2, qr/use --yes/, @name, 'reset', 'show');
is(room($node)->{epoch}, $epoch, 'nothing is done');
says('reset', ['--yes', 'reset', 'show'], qr/^show begins anew, epoch ([0-9]+)/);
cmp_ok(room($node)->{epoch}, '>', $epoch, 'done');
says('go on', [qw(set show paused=off)], qr/^paused +off  \(nginx.conf: off\)$/m);
set($node, {slots => 1}, who => "\x1b[31mred\xc2\x9b");
like((ctl(@name, 'audit', 'show', 1))[1], qr/ \[31mred\? /, 'what a terminal would act on is not shown');

# What is wrong.
refused('no command', 2, qr/no command is given/, @name);
refused('unknown command', 2, qr/no command "close"/, @name, 'close', 'show');
refused('unknown option', 2, qr/[Uu]nknown option: colour/, @name, '--colour', 'list');
refused('no address', 2, qr/no address.*TICKET_ADMIN_URL/, 'list');
refused('an address of another kind', 2, qr/no http/, '--url', 'unix:/x', 'list');
refused('user alone', 2, qr/belong together/, @url, '--user', 'anna', 'list');
refused('no such password file', 2, qr/cannot read the password file/, @url, '--user', 'anna', '--password-file', "$dir/none", 'list');
refused('too few words', 2, qr/takes other arguments/, @name, 'call', 'show');
refused('a name', 2, qr/no name of a room/, @name, 'show', '../x');
refused('no pair', 2, qr/no NAME=VALUE/, @name, 'set', 'show', 'slots');
refused('unknown setting', 2, qr/no setting "session"/, @name, 'set', 'show', 'session=5');
refused('slots', 2, qr/slots takes a number, none or default/, @name, 'set', 'show', 'slots=many');
refused('rate', 2, qr/rate takes a number and a time/, @name, 'set', 'show', 'rate=5/soon');
refused('mode', 2, qr/mode takes fifo/, @name, 'set', 'show', 'mode=lifo');
refused('paused', 2, qr/paused takes on, off/, @name, 'set', 'show', 'paused=1');
refused('twice', 2, qr/given twice/, @name, 'set', 'show', 'slots=1', 'slots=2');
refused('out of range', 1, qr/slots takes a whole number from 0 to 10000000/, @name, 'set', 'show', 'slots=99999999');
refused('no such room', 1, qr/no waiting room of this name/, @name, 'show', 'other');
refused('no such number', 1, qr/has not been issued/, @name, 'revoke', 'show', '4000');
refused('nobody', 1, qr/asks who you are: use --user/, @url, 'list');
refused('wrong password', 1, qr/asks who you are/, @url, '--user', 'anna', '--password-file', $bad, 'list');
refused('denied', 1, qr/does not let you in/, '--url', "http://127.0.0.1:$port/shut/", 'list');
refused('another location', 1, qr/is it the address of a location with ticket_admin/, '--url', "http://127.0.0.1:$port/none/", 'list');
refused('no server', 3, qr/cannot be reached/, '--url', 'http://127.0.0.1:1/', 'list');
is((ctl('--help'))[0], 0, '--help');
like((ctl('--help'))[1], qr/^ticketctl \[options\] COMMAND.*Exit status/s, 'tells what there is');
{
    local $ENV{TICKET_ADMIN_URL} = "http://127.0.0.1:$port/admin/";
    is((run($^X, root_dir() . '/scripts/ticketctl', '--header', 'X-Who: eva', qw(set show slots=9)))[0], 0,
       'the address comes from TICKET_ADMIN_URL');
    is(admin($node, 'GET', 'show/audit?count=1')->{json}{changes}[0]{who}, 'eva', '--header');
}
$redis->stop;
refused('without Redis', 3, qr/cannot be reached at the moment.*try again/, @name, 'show', 'show');
refused('a command without Redis', 3, qr/It may have been done/, @name, 'call', 'show', 1);

done_testing;
