# The demonstration's commands, run for real in a directory and on a port of
# their own: what they start, what they keep, what they refuse, and that
# nothing stays behind.

use FindBin;
use lib "$FindBin::Bin/lib";
use Ticket::Test;
use Ticket::EventStream;
use Ticket::Http qw(http);
use IO::Socket::INET;

# No room for pages and sockets below the test's own directory when that may
# be entered by its owner alone: root's servers run as others.
my $dir = temp_dir() . '/run';
chmod 0711, temp_dir();

my $port = free_port();
$ENV{TICKET_DIR}  = $dir;
$ENV{TICKET_PORT} = $port;
my $demo = root_dir() . '/scripts/demo';
my $web  = "127.0.0.1:$port";

sub free_port {
    my $probe = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1) or die "no free port: $!\n";
    return $probe->sockport;
}

# Processes that name the directory among their arguments, or work in it.
sub left_running {
    return grep { Ticket::Service::slurp("/proc/$_/cmdline") =~ /\Q$dir\E/ || (readlink("/proc/$_/cwd") // '') =~ /^\Q$dir\E/ }
        grep { $_ != $$ } map { m{^/proc/(\d+)$} } glob '/proc/[0-9]*';
}

sub first_line {
    my ($path) = @_;
    return (split /\n/, slurp($path))[0];
}

sub refused_with {
    my ($pattern, $name, $command) = @_;
    my ($status, $out, $err) = run($demo, $command // 'up');
    is $status, 1, "$name: exit 1";
    like $err, $pattern, "$name: the message";
    is scalar(grep { /^demo: / } split /\n/, $err), 1, "$name: one message" or diag $err;
    return;
}

subtest 'up' => sub {
    my ($status, $out, $err) = run($demo, 'up');
    is $status, 0, 'exit 0' or diag $err, map { slurp($_) } glob "$dir/log/*.log";
    like $out, qr{http://127\.0\.0\.1:$port/queue}, 'prints the addresses';

    my $page = http($web, 'GET', '/', {Accept => 'text/html', 'Accept-Language' => 'ko, en;q=0.5'});
    is $page->{status}, 200, '/ answers';
    like $page->{headers}{'content-type'}, qr{^text/html; charset=utf-8}, 'with a page';
    like $page->{body}, qr/<html lang="ko">/, 'in the language that is named first';
    like http($web, 'GET', '/', {Accept => 'text/html', 'Accept-Language' => 'en-GB, ko'})->{body},
        qr/<html lang="en">/, 'English before Korean';
    like $page->{headers}{'content-security-policy'}, qr/default-src 'none'/, 'and with security headers';
    ($status, $out, $err) = run(root_dir() . '/scripts/ticketctl', '--url', "http://$web/room/admin/", 'show', 'demo');
    is $status, 0, 'the room can be operated' or diag $err;
    like $out, qr/^room +demo, open/, 'by scripts/ticketctl';
    my ($style) = $page->{body} =~ m{href="(/static/[a-z]+\.css)"};
    is http($web, 'GET', $style)->{headers}{'content-type'}, 'text/css', 'its style sheet is there';
    is http($web, 'GET', '/static/waiting.en.html')->{status}, 404, 'pages are no static files';
    is http($web, 'GET', '/_ticket/waiting.en.html')->{status}, 404, 'nor is the waiting page outside the gate';

    is http($web, 'GET', '/buy/v1/performances/1/seats')->{status}, 403, '/buy/ is closed without a pass';
    my $jar = Ticket::Http::Jar->new;
    my $visitor = Ticket::Http->new($web);
    my $join = $visitor->request({method => 'POST', path => '/queue', jar => $jar});
    is $join->{status}, 201, '/queue lets a visitor join';
    is $join->{json}{state}, 'admitted', 'who is admitted, as nobody waits' or diag $join->{body};
    my $seats = $visitor->request({method => 'GET', path => '/buy/v1/performances/1/seats', jar => $jar});
    is $seats->{status}, 200, '/buy/ is open now';
    is $visitor->request({method => 'GET', path => "/buy/$_", jar => $jar})->{status}, 404, "but not /buy/$_"
        for qw(metrics healthz v1/admin/maps v1/%61dmin/maps v1/performances/../admin/maps);
    my @listeners = map { Ticket::EventStream->open($web, '/buy/v1/performances/1/seats/stream', Cookie => $jar->header) } 1 .. 5;
    Ticket::EventStream::await(\@listeners, sub { $_->status }, 10);
    is_deeply [sort map { $_->status } @listeners], [(200) x 4, 429], 'four tabs may listen';
    $_->close for @listeners;
    is scalar(@{$seats->{json}{seats}}), 1000, 'the hall has 1,000 seats';
    my $hold = $visitor->request({method => 'POST', path => '/buy/v1/performances/1/holds', jar => $jar,
        headers => {'Idempotency-Key' => '"run"'}, body => {seats => ['A-1', 'Y-40']}});
    is $hold->{status}, 201, 'seats can be held' or diag $hold->{body};
    my $metrics = http($web, 'GET', '/metrics');
    like $metrics->{headers}{'content-type'}, qr{^text/plain}, '/metrics is text';
    like $metrics->{body}, qr/^$_/m, "/metrics shows $_" for http($web, 'GET', '/metrics/module')->{body} =~ /^(# TYPE \w+)/m,
        http($web, 'GET', '/metrics/worker')->{body} =~ /^(# TYPE \w+)/m;

    is sprintf('%o', (stat "$dir/ticket.keys")[2] & 07), '0', 'others may not read the keys';
    is sprintf('%o', (stat $dir)[2] & 07), '0', 'nor enter the directory' if $> == 0;
    refused_with(qr/already running \(process \d+\)/, 'up again');
    is http($web, 'GET', '/metrics')->{status}, 200, 'which leaves the running one alone';
};

my $keys = slurp("$dir/ticket.keys");

subtest 'down' => sub {
    my ($status, $out) = run($demo, 'down');
    is $status, 0, 'exit 0';
    is_deeply [left_running()], [], 'nothing is left running';
    is_deeply [glob "$dir/*.sock $dir/*.pid"], [], 'no socket and no pid file';
    is http($web, 'GET', '/')->{status}, 0, 'the port is free';
    is((run($demo, 'down'))[0], 0, 'down again: nothing to do');
};

subtest 'the data is kept' => sub {
    is((run($demo, 'up'))[0], 0, 'up again');
    is slurp("$dir/ticket.keys"), $keys, 'the same keys';
    my $jar = Ticket::Http::Jar->new;
    my $visitor = Ticket::Http->new($web);
    my $join = $visitor->request({method => 'POST', path => '/queue', jar => $jar});
    is $join->{json}{number}, 4, 'the line goes on where it was (two pages and a visitor came before)'
        or diag $join->{body};
    my $seats = $visitor->request({method => 'GET', path => '/buy/v1/performances/1/seats', jar => $jar});
    is_deeply [map { $_->{seat} } grep { $_->{state} eq 'held' } @{$seats->{json}{seats}}], ['A-1', 'Y-40'],
        'and so does the hold';
};

subtest 'a part that dies takes the rest down' => sub {
    my ($worker) = grep { slurp("/proc/$_/cmdline") =~ /ticket-worker/ } left_running();
    kill KILL => $worker;
    eventually { !left_running() && !-e "$dir/demo.pid" } 40, 'all is stopped';
    like slurp("$dir/log/demo.log"), qr/worker died.*end of \S+worker\.log/, 'the log says which';
};

subtest 'run, in the foreground' => sub {
    my $runner = Ticket::Service->launch(name => 'demo', log => temp_dir() . '/run.log', stop_signal => 'INT',
        stop_seconds => 40, command => [$demo, 'run']);
    $runner->await(sub { http($web, 'GET', '/metrics')->{status} == 200 }, 40, 'answer');
    $runner->stop;
    is_deeply [left_running()], [], 'the interrupt stops all of it';
    my $again = Ticket::Service->launch(name => 'killed', log => temp_dir() . '/run2.log', command => [$demo, 'run']);
    $again->await(sub { http($web, 'GET', '/metrics')->{status} == 200 }, 40, 'answer');
    $again->kill9;
    eventually { !left_running() } 40, 'when it is killed with -9, its servers end too';
    refused_with(qr/stale .*demo\.pid.*make down/, 'a stale pid file');
    my ($status, $out) = run($demo, 'down');
    is $status, 0, 'down removes it';
    like $out, qr/removed what a former run had left/, 'and says so';
};

subtest 'a port in use' => sub {
    my $taken = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 1, ReuseAddr => 1) or die $!;
    refused_with(qr/127\.0\.0\.1:$port \(Address already in use\)/, "port in use, $_", $_) for qw(up run);
    is_deeply [left_running()], [], 'nothing was started';
    ok !-e "$dir/demo.pid", 'and no pid file stays';
};

subtest 'directories that will not do' => sub {
    local $ENV{TICKET_DIR} = '/proc/nowhere';
    refused_with(qr{/proc/nowhere cannot be written}, 'an unwritable directory');
    $ENV{TICKET_DIR} = temp_dir();
    refused_with(qr/holds other things/, 'a directory with other things in it');
    $ENV{TICKET_DIR} = temp_dir() . '/' . 'x' x 100;
    refused_with(qr/too long a path/, 'a path too long for sockets');
    local $ENV{TICKET_PORT} = 'http';
    $ENV{TICKET_DIR} = $dir;
    refused_with(qr/TICKET_PORT=http is not a port/, 'a port that is none');
};

END { run($demo, 'down') if -e "$dir/demo.pid" }

done_testing;
